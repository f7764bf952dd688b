// The API machinery of Kubernetes, without the rest of Kubernetes: discovery, lists with pages, merge patches and
// resourceVersion conflicts as the original does them, over an etcd that is there already. What is served are custom
// resources that stand for workloads (argoproj.io/v1alpha1 Rollout) and for what belongs to no namespace (Fleet).
//
//	kube-api --folder DIR --etcd http://127.0.0.1:2379
//
// DIR holds ca.crt, server.crt and server.key. Prints "data ADDRESS" when the kinds are served. The token
// "stand-in-token" and a client certificate of O=system:masters may do everything, the token "reader-token" may get and
// list, and who says nothing may ask whether the server lives.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	extensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	clientset "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	generatedopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/openapi"
	server "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes/scheme"
)

var (
	folder = flag.String("folder", "", "where the certificates are")
	etcd   = flag.String("etcd", "", "where etcd listens")
	listen = flag.String("listen", "127.0.0.1:0", "where to listen")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "kube-api:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	config, err := configure(listener)
	if err != nil {
		return err
	}
	api, err := config.Complete().New(server.NewEmptyDelegate())
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- api.GenericAPIServer.PrepareRun().RunWithContext(ctx) }()
	crds, err := clientset.NewForConfig(api.GenericAPIServer.LoopbackClientConfig)
	if err != nil {
		return err
	}
	if err := define(ctx, crds); err != nil {
		return err
	}
	fmt.Println("data", listener.Addr())
	return <-ended
}

func configure(listener net.Listener) (*apiserver.Config, error) {
	o := options.NewCustomResourceDefinitionsServerOptions(os.Stderr, os.Stderr)
	r := o.RecommendedOptions
	r.Authentication, r.Authorization, r.CoreAPI, r.Admission = nil, nil, nil, nil
	r.Features.EnablePriorityAndFairness = false // its rules live in the core API
	r.Etcd.StorageConfig.Transport.ServerList = []string{*etcd}
	r.SecureServing.Listener = listener
	r.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	r.SecureServing.ServerCert.CertKey.CertFile = filepath.Join(*folder, "server.crt")
	r.SecureServing.ServerCert.CertKey.KeyFile = filepath.Join(*folder, "server.key")
	if err := o.Complete(); err != nil {
		return nil, err
	}
	generic := server.NewRecommendedConfig(apiserver.Codecs)
	if err := o.ServerRunOptions.ApplyTo(&generic.Config); err != nil {
		return nil, err
	}
	if err := r.ApplyTo(generic); err != nil {
		return nil, err
	}
	err := o.APIEnablement.ApplyTo(&generic.Config, apiserver.DefaultAPIResourceConfigSource(), apiserver.Scheme)
	if err != nil {
		return nil, err
	}
	namer := openapi.NewDefinitionNamer(apiserver.Scheme, scheme.Scheme)
	generic.OpenAPIConfig = server.DefaultOpenAPIConfig(generatedopenapi.GetOpenAPIDefinitions, namer)
	generic.OpenAPIV3Config = server.DefaultOpenAPIV3Config(generatedopenapi.GetOpenAPIDefinitions, namer)
	if err := admit(generic); err != nil {
		return nil, err
	}
	rest := options.NewCRDRESTOptionsGetter(*r.Etcd, generic.ResourceTransformers, generic.StorageObjectCountTracker)
	return &apiserver.Config{GenericConfig: generic, ExtraConfig: apiserver.ExtraConfig{CRDRESTOptionsGetter: rest}}, nil
}

// admit says who somebody is and what they may.
func admit(generic *server.RecommendedConfig) error {
	ca, err := dynamiccertificates.NewDynamicCAContentFromFile("clients", filepath.Join(*folder, "ca.crt"))
	if err != nil {
		return err
	}
	if err := generic.Authentication.ApplyClientCert(ca, generic.SecureServing); err != nil {
		return err
	}
	tokens := tokenfile.New(map[string]*user.DefaultInfo{
		"stand-in-token": {Name: "tester", Groups: []string{user.SystemPrivilegedGroup}},
		"reader-token":   {Name: "reader"},
	})
	generic.Authentication.Authenticator = union.NewFailOnError(
		bearertoken.New(authenticator.Token(tokens)),
		x509.NewDynamic(ca.VerifyOptions, x509.CommonNameUserConversion),
		anonymous.NewAuthenticator(nil))
	generic.Authorization.Authorizer = authorizer.AuthorizerFunc(
		func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
			reads := a.GetVerb() == "get" || a.GetVerb() == "list"
			for _, group := range a.GetUser().GetGroups() {
				if group == user.SystemPrivilegedGroup {
					return authorizer.DecisionAllow, "", nil
				}
			}
			if reads && (a.GetUser().GetName() == "reader" || a.GetPath() == "/livez" || a.GetPath() == "/healthz") {
				return authorizer.DecisionAllow, "", nil
			}
			return authorizer.DecisionNoOpinion, "", nil
		})
	return nil
}

// define makes the kinds and waits until they are served.
func define(ctx context.Context, crds clientset.Interface) error {
	for _, d := range []*extensions.CustomResourceDefinition{
		kind("argoproj.io", "v1alpha1", "rollouts", "Rollout", extensions.NamespaceScoped),
		kind("argoproj.io", "v1alpha1", "fleets", "Fleet", extensions.ClusterScoped),
	} {
		api := crds.ApiextensionsV1().CustomResourceDefinitions()
		if _, err := api.Create(ctx, d, meta.CreateOptions{}); err != nil {
			return err
		}
		for !established(api.Get(ctx, d.Name, meta.GetOptions{})) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

func established(d *extensions.CustomResourceDefinition, err error) bool {
	if err != nil {
		return false
	}
	for _, c := range d.Status.Conditions {
		if c.Type == extensions.Established && c.Status == extensions.ConditionTrue {
			return true
		}
	}
	return false
}

func kind(group, version, plural, name string, scope extensions.ResourceScope) *extensions.CustomResourceDefinition {
	yes := true
	open := extensions.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &yes}
	return &extensions.CustomResourceDefinition{
		ObjectMeta: meta.ObjectMeta{Name: plural + "." + group},
		Spec: extensions.CustomResourceDefinitionSpec{
			Group: group, Scope: scope,
			Names: extensions.CustomResourceDefinitionNames{Plural: plural, Kind: name},
			Versions: []extensions.CustomResourceDefinitionVersion{{
				Name: version, Served: true, Storage: true,
				Subresources: &extensions.CustomResourceSubresources{Status: &extensions.CustomResourceSubresourceStatus{}},
				Schema: &extensions.CustomResourceValidation{OpenAPIV3Schema: &extensions.JSONSchemaProps{
					Type:       "object",
					Properties: map[string]extensions.JSONSchemaProps{"spec": open, "status": open},
				}},
			}},
		},
	}
}
