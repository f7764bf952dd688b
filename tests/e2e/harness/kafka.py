"""Brokers for one test run: Apache Kafka from its jars (KRaft, one combined node), and librdkafka's mock cluster."""
import hashlib
import os
import shutil
import subprocess

from .kafka_client import KafkaClient
from .proc import Child, Failure, Skip, free_port, wait_for
from .secrets import Secrets

HERE = os.path.dirname(os.path.abspath(__file__))
POM = os.path.join(HERE, "..", "kafka", "pom.xml")
JVM = ["-Xms96m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true",
       "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"]
# May do anything, as nobody (who comes without encryption) may; everybody else may what ACLs say: "worker" with its
# password, and who shows a certificate as "certificate-" and its name.
USER, PASSWORD = "sluice", "right-password"
WORKER, WORKER_PASSWORD = "worker", "worker-password"

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl},SECURE://127.0.0.1:{secure},\
MUTUAL://127.0.0.1:{mutual},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL,\
CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
username="{user}" password="{password}" user_{user}="{password}";
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
username="{user}" password="{password}" user_{worker}="{worker_password}";
ssl.keystore.type=PEM
ssl.keystore.location={secrets}/kafka.pem
ssl.truststore.type=PEM
ssl.truststore.location={secrets}/ca.crt
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/certificate-$1/
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{user}
log.dirs={data}
num.network.threads=2
num.io.threads=4
num.partitions=1
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
message.max.bytes=12000000
"""


def jars(build, version):
    """The folder with Kafka's jars, fetched once (and again when the pom changed)."""
    folder = os.path.join(build, "kafka", version)
    with open(POM, "rb") as f:
        stamp = os.path.join(folder, "complete-" + hashlib.sha256(f.read()).hexdigest()[:16])
    if os.path.exists(stamp):
        return folder
    for program, package in (("java", "default-jre-headless"), ("mvn", "maven")):
        if not shutil.which(program):
            raise Skip(f"no {program} here (Debian package {package}), so no Apache Kafka")
    shutil.rmtree(folder, ignore_errors=True)
    print(f"fetching Apache Kafka {version} from Maven Central ...", flush=True)
    out = subprocess.run(["mvn", "-q", "-B", "-Dstyle.color=never", "-f", POM, "dependency:copy-dependencies", f"-Dkafka.version={version}",
                          "-DincludeScope=runtime", f"-DoutputDirectory={os.path.abspath(folder)}"],
                         capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if out.returncode != 0:
        lines = [line for line in out.stdout.splitlines() if "ERROR" in line] or ["mvn failed"]
        raise Skip(f"Apache Kafka {version} could not be fetched: {lines[0][:200]}")
    with open(stamp, "w", encoding="ascii"):
        pass
    return folder


class RealKafka:
    """kind: what scenarios ask for. Stays the same broker (ports, data) over kill, freeze and restart."""
    kind = "real"

    def __init__(self, build, version, folder, ports=None):
        """ports: of a broker that another process of this run started and looks after."""
        self.version, self.folder, self.child = version, folder, None
        self.classes = os.path.join(jars(build, version), "*")
        self.ports = ports or tuple(free_port() for _ in range(4))
        self.port, self.sasl_port, self.secure_port, self.mutual_port = self.ports
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.sasl_bootstrap = f"127.0.0.1:{self.sasl_port}"
        self.secure_bootstrap = f"localhost:{self.secure_port}"  # SASL_SSL
        self.mutual_bootstrap = f"localhost:{self.mutual_port}"  # TLS with client certificates
        self.client = KafkaClient("127.0.0.1", self.port)
        self.ours = ports is None
        if self.ours:
            self._format()
        self.secrets = Secrets(os.path.join(self.folder, "secrets"))

    def _format(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        secrets = Secrets(os.path.join(self.folder, "secrets"))
        self.properties = os.path.join(self.folder, "server.properties")
        with open(self.properties, "w", encoding="ascii") as f:
            f.write(PROPERTIES.format(port=self.port, sasl=self.sasl_port, secure=self.secure_port, mutual=self.mutual_port,
                                      controller=free_port(), data=os.path.join(self.folder, "data"), user=USER,
                                      password=PASSWORD, worker=WORKER, worker_password=WORKER_PASSWORD,
                                      secrets=os.path.abspath(secrets.folder)))
        self.tool("kafka.tools.StorageTool", "format", "-t", "c2x1aWNlLXRlc3RzLTAwMQ", "-c", self.properties)

    def tool(self, main, *arguments, timeout_s=60):
        out = subprocess.run(["java", *JVM, "-cp", self.classes, main, *arguments], capture_output=True, text=True,
                             timeout=timeout_s)
        if out.returncode != 0:
            raise Failure(f"{main} failed: {(out.stderr or out.stdout).strip()[-400:]}")
        return out.stdout

    def start(self):
        """Launch; does not wait."""
        self.child = Child("kafka", ["java", *JVM, "-cp", self.classes, "kafka.Kafka", self.properties],
                           os.path.join(self.folder, "broker.log"))

    def wait_ready(self, timeout_s=60):
        wait_for(self.client.answers, timeout_s, "Kafka to answer", alive=[self.child])

    def ensure_up(self):
        """Heal whatever the scenario before left."""
        if not self.ours:
            return
        if self.child is None or not self.child.running():
            self.start()
        self.child.thaw()
        self.wait_ready()

    def kill(self):
        self.child.kill()

    def freeze(self):
        self.child.freeze()

    def thaw(self):
        self.child.thaw()

    def stop(self):
        if self.child:
            self.child.thaw()
            self.child.kill()

    def create_topic(self, name, partitions, **config):
        self.client.create_topic(name, partitions, config)
        wait_for(lambda: self.client.partitions().get(name) == partitions, 30, f"topic {name} to have leaders")

    def group_lag(self, group):
        """{(topic, partition): lag} as Kafka's own tool sees it; partitions without an offset are left out."""
        out = self.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server",
                         self.bootstrap, "--describe", "--group", group)
        rows = [line.split() for line in out.splitlines() if line.startswith(group + " ")]
        return {(row[1], int(row[2])): int(row[5]) for row in rows if row[5] != "-"}


class MockKafka:
    """build/tools/mock_kafka: hosts the mock cluster, obeys lines on its standard input, answers each with 'ok'."""
    kind = "mock"
    version = "mock"

    def __init__(self, build, folder):
        program = os.path.join(build, "tools", "mock_kafka")
        if not os.path.exists(program):
            raise Skip(f"{program} is not built")
        self.build, self.folder, self.program, self.child = build, folder, program, None
        self.bootstrap, self.client = "", None

    def start(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.child = Child("mock_kafka", [self.program], os.path.join(self.folder, "mock.log"), stdin=subprocess.PIPE)
        self.wait_line("bootstrap ")
        self.bootstrap = self.child.log().split("bootstrap ")[1].split()[0]
        host, port = self.bootstrap.split(",")[0].rsplit(":", 1)
        self.client = KafkaClient(host, int(port))

    def wait_line(self, text, count=1):
        wait_for(lambda: self.child.log().count(text) >= count, 20, f"the mock cluster to say '{text}'",
                 pause_s=0.01, alive=[self.child])

    def tell(self, line):
        said = self.child.log().count("ok\n")
        self.child.popen.stdin.write((line + "\n").encode())
        self.child.popen.stdin.flush()
        self.wait_line("ok\n", said + 1)

    def ensure_up(self):
        """The mock forgets everything with its process: each scenario gets a new one."""
        self.stop()
        self.start()

    def create_topic(self, name, partitions, **_):
        self.tell(f"topic {name} {partitions}")

    def kill(self):
        self.tell("down 1")

    def restart(self):
        self.tell("up 1")

    def stop(self):
        if self.child:
            self.child.kill()
