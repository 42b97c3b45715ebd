"""The operator as a process against a real API server, with pods that read a mounted Secret as the backend does."""

import base64
import json
import signal
import time

import pytest
from keybearer_operator.rotation import material
from rotations.site import (
    ask,
    deployment,
    encoded,
    idle,
    keyring_secret,
    killed_at_every_step,
    name_consumers,
    rotate,
    rotated,
    staged,
    status,
    waits_for,
)
from rotations.wire import wired

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def test_an_aes_keyring_is_rotated_twice_though_the_operator_is_killed_at_every_step(namespace, operators):
    operators.start()
    rotate(namespace, "keyring", "AESKeyring", rewrap={"batchSize": 100, "rateLimit": 1000})
    idle(namespace, "keyring")
    for turn in ("first", "second"):
        before = status(namespace, "keyring")["activeKeyID"]
        steps = [*killed_at_every_step(namespace, operators, "keyring", turn)]
        assert len(steps) >= 5, "staged, promoted, rewrapped, retired, and what lies between"
        told = idle(namespace, "keyring")
        data = namespace.get("secret", "keyring")["data"]
        assert set(data) == {told["activeKeyID"], "primary"}
        assert told["activeKeyID"] != before
        assert told["rewrap"] == {"total": 7, "remaining": 0}
    ran = sorted(job["spec"]["template"]["spec"]["containers"][0]["args"][1] for job in namespace.items("jobs"))
    assert ran == ["retire", "retire", "rewrap", "rewrap"], "no Job ran twice"
    assert len(staged(namespace, "keyring")) == 2


def test_a_signing_key_is_replaced_and_its_public_half_stays(namespace, operators):
    operators.start()
    rotate(namespace, "signing", "SigningKeyring", overlap={"min": "0s"})
    idle(namespace, "signing")
    ask(namespace, "signing", "now")
    told = rotated(namespace, "signing", "k1")
    assert set(namespace.get("secret", "signing")["data"]) == {told["activeKeyID"], "primary", "k1.pub"}


def test_logins_take_turns(namespace, operators):
    operators.start()
    rotate(namespace, "database", "PostgresUser", overlap={"max": "30s"})
    idle(namespace, "database")
    for turn, login in (("first", "keybearer_app_b"), ("second", "keybearer_app_a")):
        before = namespace.get("secret", "database")["data"]
        ask(namespace, "database", turn)
        rotated(namespace, "database", base64.b64decode(before["username"]).decode())
        after = namespace.get("secret", "database")["data"]
        assert base64.b64decode(after["username"]).decode() == login
        assert after["password"] != before["password"]
        assert "NotFound" in namespace.kubectl("get", "secret", "database-pending", check=False)


def test_other_values_are_replaced_and_their_consumer_restarted(namespace, operators):
    operators.start()
    rotate(namespace, "other", "OpaqueSecret", mode="Restart")
    idle(namespace, "other")
    revision = version_of_backends(namespace)
    before = namespace.get("secret", "other")["data"]["token"]
    ask(namespace, "other", "now")
    namespace.until(lambda: namespace.get("secret", "other")["data"]["token"] != before)
    namespace.until(lambda: version_of_backends(namespace) != revision)
    idle(namespace, "other")
    assert version_of_backends(namespace) == revision + 1
    namespace.rolled_out("deployment/backend")


def version_of_backends(namespace):
    return int(namespace.get("deployment", "backend")["metadata"]["annotations"]["deployment.kubernetes.io/revision"])


def test_of_two_operators_one_acts_and_the_other_takes_over(namespace, operators):
    first = operators.start()
    rotate(namespace, "two", "AESKeyring", secret="keyring")
    idle(namespace, "two")
    operators.start()
    time.sleep(3)
    before = status(namespace, "two")["activeKeyID"]
    ask(namespace, "two", "now")
    namespace.until(lambda: status(namespace, "two").get("step") != "Idle")
    first.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    rotated(namespace, "two", before)
    assert time.monotonic() - killed < 60
    assert len(staged(namespace, "two")) == 1


def test_an_operator_cut_off_from_the_api_server_is_followed_and_does_nothing_twice(namespace, operators, tmp_path):
    with wired(tmp_path) as (wire, kubeconfig):
        cut_off = operators.start(KUBECONFIG=str(kubeconfig))
        rotate(namespace, "cut", "AESKeyring", secret="keyring")
        idle(namespace, "cut")
        operators.start()
        before = status(namespace, "cut")["activeKeyID"]
        ask(namespace, "cut", "now")
        namespace.until(lambda: status(namespace, "cut").get("step") != "Idle")
        wire.cut()
        began = time.monotonic()
        after = rotated(namespace, "cut", before)["activeKeyID"]
        print(f"taken over and ended {time.monotonic() - began:.0f} s after the cut")
        assert len(staged(namespace, "cut")) == 1
        # Whatever it sent meanwhile arrives now, and it finds that another one leads.
        wire.mend()
        time.sleep(10)
        assert cut_off.poll() is None, "it lives, and stands by"
        assert idle(namespace, "cut")["activeKeyID"] == after
        assert len(staged(namespace, "cut")) == 1
        operators.running[1].kill()
        ask(namespace, "cut", "again")
        rotated(namespace, "cut", after)
        assert len(staged(namespace, "cut")) == 2
        cut_off.terminate()
        assert cut_off.wait(timeout=20) == 0


def test_a_pod_that_never_acknowledges_degrades_it_and_the_old_key_stays(namespace, operators):
    operators.start()
    rotate(namespace, "late", "AESKeyring", secret="keyring", overlap={"min": "10s", "max": "10s"})
    idle(namespace, "late")
    before = status(namespace, "late")["activeKeyID"]
    ask(namespace, "late", "now")
    namespace.until(lambda: status(namespace, "late").get("step") == "Staged")
    consumers = [{"kind": "Deployment", "name": name} for name in ("backend", "backend-silent")]
    name_consumers(namespace, "late", consumers)
    silent = deployment(name="backend-silent")
    silent["spec"]["template"]["spec"]["containers"][0]["command"] = ["python", "-c", "import time; time.sleep(1e6)"]
    namespace.apply(silent)
    degraded = waits_for(namespace, "late", "Degraded", "ConsumersNotConverged")
    assert "backend-silent-" in degraded["message"]
    assert "ConsumersNotConverged" in namespace.kubectl("describe", "sr/late")
    assert before in namespace.get("secret", "keyring")["data"]
    name_consumers(namespace, "late", consumers[:1])
    namespace.kubectl("delete", "deployment", "backend-silent")
    rotated(namespace, "late", before)


def test_a_missing_secret_and_a_missing_key_stop_it_until_they_are_back(namespace, operators):
    operators.start()
    rotate(namespace, "gone", "AESKeyring", secret="elsewhere")
    waits_for(namespace, "gone", "Degraded", "SecretMissing")
    namespace.apply(keyring_secret("elsewhere"))
    namespace.until(lambda: status(namespace, "gone").get("activeKeyID") == "k1")
    data = namespace.get("secret", "elsewhere")["data"]
    other = {"k9": base64.b64encode(material.new_encryption_key()).decode(), "k1": None, "primary": encoded("k9")}
    namespace.kubectl("patch", "secret/elsewhere", "--type=merge", "-p", json.dumps({"data": other}))
    wrong = waits_for(namespace, "gone", "Degraded", "KeyMissing")
    assert "keybearer.dev/accept=" in wrong["message"]
    back = {"k1": data["k1"], "k9": None, "primary": data["primary"]}
    namespace.kubectl("patch", "secret/elsewhere", "--type=merge", "-p", json.dumps({"data": back}))
    waits_for(namespace, "gone", "Degraded", "AsExpected", holds="False")


def test_deleting_a_rotation_deletes_no_key(namespace, operators):
    operators.start()
    rotate(namespace, "brief", "AESKeyring", secret="keyring")
    idle(namespace, "brief")
    before = namespace.get("secret", "keyring")["data"]
    namespace.kubectl("delete", "sr/brief")
    time.sleep(2)
    assert namespace.get("secret", "keyring")["data"] == before
