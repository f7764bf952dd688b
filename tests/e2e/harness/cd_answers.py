"""What CD systems answer, word for word: the status alone does not say it, which is why they are here.

A scene is one of them in one mood: its kind, the answers it gives in turn (the last one for ever), and whether it looks
at the request as the real one does: what is wrong in it gets the refusal that the real one gives.
"""
import base64
import hashlib
import hmac
import json
import re
import time
import urllib.parse

# What the scenes' credentials are; each is the secret of its kind.
SECRETS = {"argocd": "argocd-jwt", "argo-workflows": "workflows-jwt", "argo-events": "events-token",
           "github-dispatch": "ghp-token", "github-workflow": "ghp-token", "gitlab": "glptt-trigger-token",
           "jenkins": "ci:jenkins-api-token", "jenkins-gwt": "gwt-token", "tekton": "tekton-token",
           "flux": "flux-hmac-key", "harness": "pat.harness", "devtron": "devtron-api-token", "spinnaker": "gate-token",
           "standard-webhooks": "whsec_" + base64.b64encode(b"standard-webhooks-secret-of-tests").decode()}


def grpc(status, code, message):
    """As the gateway in front of Argo words an error."""
    return status, {}, {"error": message, "code": code, "message": message}


APPLICATION = (200, {}, {"metadata": {"name": "app-1", "namespace": "argocd"},
                         "operation": {"sync": {"revision": "1"}, "initiatedBy": {"username": "ci"}}})
BUSY = grpc(400, 9, "another operation is already in progress")
WINDOW = grpc(403, 7, "cannot sync: blocked by sync window")
GWT_URL = {"id": 7, "url": "queue/item/7/"}


def gwt(triggered):
    return 200, {}, {"jobs": {"deploy": {"regexpFilterExpression": "^main$", "triggered": triggered,
                                         "resolvedVariables": {}, "regexpFilterText": "main",
                                         **(GWT_URL if triggered else {"id": 0, "url": ""})}},
                     "message": "Triggered jobs."}


def github_rate():
    """The primary limit: how long says a header, and it is a time of the day."""
    return 403, {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0",
                 "x-ratelimit-reset": str(int(time.time()) + 1)}, {
        "message": "API rate limit exceeded for user ID 7.",
        "documentation_url": "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"}


NO_CONTENT = (204, {}, "")
DEVTRON_OK = (200, {}, {"code": 200, "status": "OK", "result": {"releaseId": 7, "helmPackageName": "app-1"}})
TEKTON = (202, {}, {"eventListener": "ci", "namespace": "default", "eventListenerUID": "1b9", "eventID": "14a657c3"})

# name: (kind, answers in turn)
SCENES = {
    "argocd-ok": ("argocd", [APPLICATION]),
    "argocd-busy": ("argocd", [BUSY, BUSY, APPLICATION]),
    "argocd-window": ("argocd", [WINDOW, APPLICATION]),
    "argocd-window-old": ("argocd", [grpc(403, 7, "Cannot sync: Blocked by sync window")]),  # up to 2.7
    "argocd-rbac": ("argocd", [grpc(403, 7, "permission denied: applications, sync, default/app-1, sub: ci")]),
    "argocd-deleting": ("argocd", [grpc(400, 9, "application is deleting")]),
    "workflows-ok": ("argo-workflows", [(200, {}, {"metadata": {"name": "x", "namespace": "ci", "uid": "4c2"}})]),
    "workflows-already": ("argo-workflows", [grpc(409, 6, 'workflows.argoproj.io "x" already exists')]),
    "argocd-other": ("argocd", [grpc(400, 9, "Cannot sync to 3f9c2e1: auto-sync currently set to main")]),
    "argocd-unknown": ("argocd", [grpc(404, 5, 'applications.argoproj.io "app-1" not found')]),
    "workflows-race": ("argo-workflows", [grpc(409, 10, "Operation cannot be fulfilled"),
                                          (200, {}, {"metadata": {"name": "x", "namespace": "ci"}})]),
    "workflows-unknown": ("argo-workflows", [grpc(404, 5, 'workflowtemplates.argoproj.io "deploy" not found')]),
    "events-ok": ("argo-events", [(200, {}, "success")]),
    "events-refused": ("argo-events", [(400, {}, "invalid HTTP method")]),
    "events-denied": ("argo-events", [(401, {}, "failed to authenticate")]),
    "events-bus": ("argo-events", [(500, {}, "failed to publish the event"), (200, {}, "success")]),
    "dispatch-ok": ("github-dispatch", [NO_CONTENT]),
    "dispatch-rate": ("github-dispatch", [github_rate, NO_CONTENT]),
    "dispatch-secondary": ("github-dispatch", [
        (403, {"retry-after": "1"}, {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}),
        NO_CONTENT]),
    "dispatch-denied": ("github-dispatch", [
        (403, {"x-ratelimit-remaining": "4999"}, {"message": "Resource not accessible by personal access token"})]),
    "dispatch-many": ("github-dispatch", [(429, {"retry-after": "1"}, {"message": "Too many requests"}), NO_CONTENT]),
    "dispatch-unknown": ("github-dispatch", [(404, {}, {"message": "Not Found", "status": "404"})]),
    "workflow-ok": ("github-workflow", [NO_CONTENT]),
    "workflow-run": ("github-workflow", [(200, {}, {
        "workflow_run_id": 30433642, "run_url": "https://api.github.com/repos/acme/deploy/actions/runs/30433642",
        "html_url": "https://github.com/acme/deploy/actions/runs/30433642"})]),
    "workflow-none": ("github-workflow", [
        (422, {}, {"message": "Workflow does not have 'workflow_dispatch' trigger"})]),
    "gitlab-ok": ("gitlab", [(201, {}, {"id": 46, "iid": 3, "project_id": 1, "sha": "a91957a8", "ref": "main",
                                        "status": "created", "web_url": "https://gitlab.test/g/p/-/pipelines/46"})]),
    "gitlab-empty": ("gitlab", [(400, {}, {"message": {"base": ["Pipeline will not run for the selected trigger."]}})]),
    "gitlab-denied": ("gitlab", [(401, {}, {"message": "401 Unauthorized"})]),
    "gitlab-unknown": ("gitlab", [(404, {}, {"message": "404 Project Not Found"})]),
    "gitlab-many": ("gitlab", [(429, {"retry-after": "1"}, "Retry later\n"), (201, {}, {"id": 47, "project_id": 1})]),
    "jenkins-ok": ("jenkins", [(201, {"Location": "http://HOST/queue/item/7/"}, "")]),  # HOST: as it was called
    "jenkins-refused": ("jenkins", [(302, {"Location": "."}, "")]),
    "jenkins-disabled": ("jenkins", [(409, {}, "<html>deploy is not buildable</html>")]),
    "gwt-ok": ("jenkins-gwt", [gwt(True)]),
    "gwt-filtered": ("jenkins-gwt", [gwt(False)]),
    "gwt-unknown": ("jenkins-gwt", [(404, {}, {"jobs": None, "message": "Did not find any jobs"})]),
    "gwt-whitelist": ("jenkins-gwt", [(403, {}, {"jobs": None, "message": "Sender did not pass whitelist."})]),
    "gwt-broken": ("jenkins-gwt", [(500, {}, {"jobs": {"deploy": "Exception occurred"},
                                              "message": "There were errors when triggering jobs."}), gwt(True)]),
    "spinnaker-ok": ("spinnaker", [(200, {}, {"eventProcessed": True, "eventId": "5cb2"})]),
    "spinnaker-nothing": ("spinnaker", [(200, {}, {"eventProcessed": False, "eventId": "5cb3"})]),
    "tekton-ok": ("tekton", [TEKTON]),
    "tekton-refused": ("tekton", [(400, {}, "invalid event body format\n")]),
    "tekton-broken": ("tekton", [(500, {}, ""), TEKTON]),
    "flux-ok": ("flux", [(200, {}, "")]),
    "flux-refused": ("flux", [(400, {}, "")]),
    "flux-unknown": ("flux", [(404, {}, "")]),
    "flux-large": ("flux", [(413, {}, "")]),
    "flux-partly": ("flux", [(500, {}, ""), (200, {}, "")]),
    "flux-suspended": ("flux", [(503, {}, ""), (200, {}, "")]),
    "harness-ok": ("harness", [(200, {}, {"status": "SUCCESS", "data": {
        "eventCorrelationId": "64d", "apiUrl": "https://harness.test/x", "uiUrl": "https://harness.test/y"}})]),
    "harness-failed": ("harness", [(200, {}, {"status": "FAILED", "message": "no trigger matches"})]),
    "devtron-ok": ("devtron", [DEVTRON_OK]),
    "devtron-denied": ("devtron", [(401, {}, {"code": 401, "status": "Unauthorized"})]),
    "devtron-twice": ("devtron", [(409, {}, {"code": 409, "status": "Conflict"})]),
    "devtron-broken": ("devtron", [(500, {}, {"code": 500, "status": "Internal Server Error"}), DEVTRON_OK]),
    "webhook-ok": ("standard-webhooks", [(204, {}, "")]),
    "webhook-gone": ("standard-webhooks", [(410, {}, "")]),
}


class Request:
    """What came in. `refused` is the answer of the real system when the request is not to its liking."""

    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        url = urllib.parse.urlsplit(target)
        self.path, self.query = url.path, dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))

    def document(self):
        """The body's members, of JSON or of a form; {} when it is neither."""
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return dict(urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True))
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def refused(self, kind):
        if self.method != "POST":
            return 405, {}, "method not allowed\n"
        return CHECKS[kind](self, SECRETS.get(kind, ""))

    def bearer(self, secret):
        return self.headers.get("authorization") == f"Bearer {secret}"


def argocd(request, secret):
    if not re.fullmatch(r"/api/v1/applications/[^/]+/sync", request.path):
        return 404, {}, "Not Found\n"
    if not request.bearer(secret):
        return grpc(401, 16, "no session information")
    document = request.document()
    infos = document.get("infos", [])
    wrong = not isinstance(infos, list) or any(set(i) != {"name", "value"} for i in infos) or "image" in document
    return grpc(400, 3, "unknown field") if wrong else None


def argo_workflows(request, secret):
    if not re.fullmatch(r"/api/v1/workflows/[^/]+/submit", request.path):
        return 404, {}, "Not Found\n"
    if not request.bearer(secret):
        return grpc(401, 16, "token not valid")
    document = request.document()
    options = document.get("submitOptions", {})
    if not document.get("resourceKind") or not document.get("resourceName"):
        return grpc(400, 3, "resource kind and name are required")
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", options.get("name", "")):
        return grpc(400, 3, "metadata.name: Invalid value")
    return None


def argo_events(request, secret):
    return None if request.bearer(secret) else (401, {}, "failed to authenticate\n")


def github(request, secret):
    if not request.headers.get("user-agent"):
        return 403, {}, "Request forbidden by administrative rules.\n"
    if not request.bearer(secret):
        return 401, {}, {"message": "Bad credentials", "status": "401"}
    return None


def github_dispatch(request, secret):
    if not re.fullmatch(r"/repos/[^/]+/[^/]+/dispatches", request.path):
        return 404, {}, {"message": "Not Found", "status": "404"}
    document = request.document()
    wrong = not 1 <= len(document.get("event_type", "")) <= 100 or len(document.get("client_payload", {})) > 10
    return github(request, secret) or ((422, {}, {"message": "Invalid request."}) if wrong else None)


def github_workflow(request, secret):
    if not re.fullmatch(r"/repos/[^/]+/[^/]+/actions/workflows/[^/]+/dispatches", request.path):
        return 404, {}, {"message": "Not Found", "status": "404"}
    wrong = not request.document().get("ref")
    return github(request, secret) or ((422, {}, {"message": "Invalid request."}) if wrong else None)


def gitlab(request, secret):
    if not re.fullmatch(r"/api/v4/projects/[^/]+/trigger/pipeline", request.path):
        return 404, {}, {"error": "404 Not Found"}
    document = request.document()
    missing = [f"{name} is missing" for name in ("token", "ref") if not document.get(name)]
    if missing:
        return 400, {}, {"error": ", ".join(missing)}
    return None if document["token"] == secret and not request.query else (404, {}, {"message": "404 Not Found"})


def jenkins(request, secret):
    if not re.fullmatch(r"(/job/[^/]+)+/buildWithParameters", request.path):
        return 404, {}, "<html>Not Found</html>"
    if request.headers.get("authorization") != "Basic " + base64.b64encode(secret.encode()).decode():
        return 401, {"WWW-Authenticate": 'Basic realm="Jenkins"'}, "<html>Unauthorized</html>"
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return None if form and request.document() else (500, {}, "<html>java.lang.IllegalStateException</html>")


def jenkins_gwt(request, secret):
    if request.path != "/generic-webhook-trigger/invoke":
        return 404, {}, "<html>Not Found</html>"
    said = request.query.get("token") or request.headers.get("token")
    if not request.bearer(secret) and said != secret:
        return 404, {}, {"jobs": None, "message": "Did not find any jobs with GenericTrigger configured! "
                                                  "If you are using a token, you need to pass it like ..."}
    return None


def spinnaker(request, secret):
    return None if re.fullmatch(r"/webhooks/webhook/[^/]+", request.path) else (404, {}, {"error": "Not Found"})


def tekton(request, secret):
    return None if request.document() else (400, {}, "invalid event body format\n")


def flux(request, secret):
    if not re.fullmatch(r"/hook/[0-9a-f]{64}", request.path):
        return 404, {}, ""
    mac = hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()
    return None if request.headers.get("x-signature") == f"sha256={mac}" else (400, {}, "")


def harness(request, secret):
    wanted = {"accountIdentifier", "orgIdentifier", "projectIdentifier", "pipelineIdentifier", "triggerIdentifier"}
    if not request.path.startswith("/gateway/pipeline/api/webhook/custom/") or not wanted <= set(request.query):
        return 400, {}, {"status": "ERROR", "code": "INVALID_REQUEST", "message": "Invalid request"}
    if request.headers.get("x-api-key") != secret:
        return 401, {}, {"status": "ERROR", "code": "UNAUTHORIZED", "message": "Unauthorized"}
    return None


def devtron(request, secret):
    external = re.fullmatch(r"/orchestrator/webhook/ext-ci/\d+", request.path)
    if not external and request.path != "/orchestrator/app/cd-pipeline/trigger":
        return 404, {}, "404 page not found\n"
    if request.headers.get("api-token" if external else "token") != secret:
        return 401, {}, {"code": 401, "status": "Unauthorized", "errors": [{"userMessage": "unauthorized user"}]}
    if external and ":" not in request.document().get("dockerImage", ""):
        return 400, {}, {"code": 400, "status": "Bad Request", "errors": [{"userMessage": "dockerImage"}]}
    return None


def standard_webhooks(request, secret):
    """Standard Webhooks 1.0.0: the receiver's half."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    said = {n: request.headers.get(f"webhook-{n}", "") for n in ("id", "timestamp", "signature")}
    text = f"{said['id']}.{said['timestamp']}.".encode() + request.body
    mine = "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    fresh = said["timestamp"].isdigit() and abs(time.time() - int(said["timestamp"])) < 300
    valid = said["id"] and "." not in said["id"] and fresh and mine in said["signature"].split(" ")
    return None if valid else (401, {}, {"error": "no signature of this message matches"})


# What a run that was started is asked, and what is answered: (path, document). As with the trigger's credential,
# except GitLab's: a trigger token reads nothing.
RUNS = {
    "argocd": ("/api/v1/applications/app-1", {"status": {
        "operationState": {"phase": "Running", "message": "waiting for healthy state"},
        "sync": {"status": "Synced"}, "health": {"status": "Progressing"}}}),
    "argo-workflows": ("/api/v1/workflows/ci/x", {"status": {"phase": "Failed", "message": "child 'x' failed"}}),
    "github-workflow": ("/repos/acme/deploy/actions/runs/30433642", {"id": 30433642, "status": "completed",
                                                                     "conclusion": "success"}),
    "gitlab": ("/api/v4/projects/1/pipelines/46", {"id": 46, "status": "canceled", "ref": "main"}),
    "jenkins": ("/queue/item/7/api/json", {"cancelled": False, "why": None, "executable": {"number": 12}}),
    "jenkins-gwt": ("/queue/item/7/api/json", {"cancelled": False, "why": "In the quiet period. Expires in 4.9 sec"}),
    "harness": ("/gateway/pipeline/api/webhook/triggerExecutionDetails/64d", {"status": "SUCCESS", "data": {
        "webhookProcessingDetails": {"eventFound": True, "status": "TARGET_EXECUTION_REQUESTED"}}}),
}


def how_it_goes(request, kind):
    path, document = RUNS.get(kind, (None, None))
    secret, said = SECRETS.get(kind, ""), request.headers
    known = (request.bearer(secret) or said.get("private-token") == "glpat-reader" or said.get("x-api-key") == secret
             or said.get("authorization") == "Basic " + base64.b64encode(secret.encode()).decode())
    if request.path != path:
        return 404, {}, {"message": "Not Found"}
    return (200, {}, document) if known or kind == "jenkins-gwt" else (401, {}, {"message": "Unauthorized"})


CHECKS = {"argocd": argocd, "argo-workflows": argo_workflows, "argo-events": argo_events,
          "github-dispatch": github_dispatch, "github-workflow": github_workflow, "gitlab": gitlab, "jenkins": jenkins,
          "jenkins-gwt": jenkins_gwt, "spinnaker": spinnaker, "tekton": tekton, "flux": flux, "harness": harness,
          "devtron": devtron, "standard-webhooks": standard_webhooks}
