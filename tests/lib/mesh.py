"""A mesh of real processes for tests: a FEP, a gateway, two providers. Ends only what it started."""

import http.client
import json
import os
import re
import signal
import subprocess
import time

# What a loaded machine may need for what takes a fraction of a second.
PATIENCE_S = 60


def eventually(what, look, within_s=PATIENCE_S):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise TimeoutError(what() if callable(what) else what)


class Daemon:
    """A process, and what its log says."""

    def __init__(self, work, name, *command):
        self.name, self.command, self.log_path = name, command, work / f"{name}.log"
        self.start()

    def start(self):
        # Each start is watched from where its own lines begin.
        self.log = open(self.log_path, "ab")
        self.from_byte = self.log_path.stat().st_size
        environment = dict(os.environ, RUST_LOG="info")
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, env=environment)

    def said(self):
        return self.log_path.read_bytes()[self.from_byte :].decode(errors="replace")

    def says(self, pattern):
        """The group of the first line that matches."""

        def look():
            found = re.search(pattern, self.said())
            if not found and self.process.poll() is not None:
                raise RuntimeError(f"{self.command} has ended:\n{self.said()}")
            return found and found.group(1)

        return eventually(f"{self.log_path.name} saying {pattern!r}", look)

    def is_up(self):
        return self.process.poll() is None

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(timeout=PATIENCE_S)
        self.log.close()


class Mesh:
    """A FEP, a gateway, and two providers: one with its Portman inside, one with a Portman of its own."""

    def __init__(self, binaries, work, slots, journaled=False, deposit="5", provider_toml=lambda toml: toml):
        self.bin, self.work, self.slots, self.journaled = binaries, work, slots, journaled
        self.daemons, self.journals, self.configs = {}, {}, {}
        self.provider_toml, self.deposit = provider_toml, deposit

    def start(self):
        fep_config = self.init("labman-fep", "fep", "--listen", "127.0.0.1:0")
        fep = self.daemon("fep", "labman-fep", fep_config)
        fep_id, fep_url = fep.says(r"labman-fep is up: fep (\S+)"), fep.says(r"nodes call it at (\S+)")
        self.at_fep = at_fep = ("--fep-id", fep_id, "--fep-url", fep_url)
        self.pin("fep", fep_url)

        gateway_config = self.init(
            "labmand", "gateway", "--gateway", *at_fep,
            "--mesh-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
        )  # fmt: skip
        gateway = self.daemon("gateway", "labmand", gateway_config)
        gateway_id, mesh = gateway.says(r"labmand is up: node (\S+)"), gateway.says(r"mesh on (\S+)")
        self.at_gateway = ("--gateway-id", gateway_id, "--gateway-addr", mesh)
        self.api = gateway.says(r"OpenAI API on http://([^/\s]+)")
        self.pin("gateway", mesh, self.api)

        self.operator = (self.path("labman-fep"), "--json", "--config", fep_config)
        self.ask_operator("gateway", "add", gateway_id, "--bond", "100")
        self.key = self.user("alice")

        for name in ("provider-1", "provider-2"):
            toy = Daemon(self.work, f"{name}-toy", self.path("labmand"), "toy", "--listen", "127.0.0.1:0")
            self.daemons[f"{name}-toy"] = toy
            runtime = toy.says(r"is at (\S+)")
            config = self.init(
                "labmand", name, "--provider", *at_fep, "--gateway-id", gateway_id, "--gateway-addr", mesh,
                "--tenant", name, "--runtime-url", runtime, "--portman-listen", "127.0.0.1:0",
            )  # fmt: skip
            config.write_text(self.provider_toml(config.read_text()))
            if name == "provider-2":
                self.portman_apart(config, runtime)
            else:
                self.daemon(name, "labmand", config)
                if self.journaled:
                    self.journals[f"{name}-portman"] = self.work / f"{name}.journal.portman-1"

        tenants = {"provider-1", "provider-2"}
        eventually("both providers being listed", lambda: tenants <= {m.split(":")[0] for m in self.models()})

    def serve(self, name, *toy, edited):
        """One more provider, with a toy of its own, once its config is edited."""
        toy = Daemon(self.work, f"{name}-toy", self.path("labmand"), "toy", "--listen", "127.0.0.1:0", *toy)
        self.daemons[f"{name}-toy"] = toy
        config = self.init(
            "labmand", name, "--provider", *self.at_fep, *self.at_gateway, "--tenant", name,
            "--runtime-url", toy.says(r"is at (\S+)"), "--portman-listen", "127.0.0.1:0",
        )  # fmt: skip
        config.write_text(edited(config.read_text()))
        return self.daemon(name, "labmand", config)

    def ask_node(self, name, *command):
        """What `labman-cli` says of a node."""
        command = (self.path("labman-cli"), "--config", self.configs[name], *command)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def portman_apart(self, config, runtime):
        toml = config.read_text()
        token = re.search(r'^token = "([^"]+)"', toml, re.M).group(1)
        # Its labman must not run one itself.
        toml, inside = re.subn(r"^embedded = true.*$", "embedded = false", toml, flags=re.M)
        toml, runtimes = re.subn(r"^runtime = .*$", "", toml, flags=re.M)
        assert (inside, runtimes) == (1, 1), toml
        config.write_text(toml)
        url = self.daemon("provider-2", "labmand", config).says(r"Portmans attach at (\S+)")
        self.pin("provider-2", url)
        own = self.init("portman", "portman-2", "--token", token, "--labman-url", url, "--runtime-url", runtime)
        self.daemon("portman-2", "portman", own)

    def pin(self, name, *addresses):
        """Started again, a daemon is where others look for it: any free port becomes the one that it got."""
        toml = self.configs[name].read_text()
        for address in addresses:
            port = re.search(r":(\d+)/?$", address).group(1)
            toml = re.sub(r'(listen = "127\.0\.0\.1):0"', rf'\1:{port}"', toml, count=1)
        self.configs[name].write_text(toml)

    def path(self, program):
        return self.bin / program

    def data(self, name):
        return self.work / f"{name}-data"

    def init(self, program, name, *options):
        config = self.configs[name] = self.work / f"{name}.toml"
        data = () if program == "portman" else ("--data-dir", f"{name}-data")
        subprocess.run(
            [self.path(program), "init", "--out", config, *data, *options], check=True, stdout=subprocess.DEVNULL
        )
        # Each provider has room for all that is asked at once, so that none is lost for being busy.
        config.write_text(re.sub(r"slots = \d+", f"slots = {self.slots}", config.read_text()))
        return config

    def daemon(self, name, program, config):
        command = (self.path(program), "--config", config)
        if self.journaled:
            self.journals[name] = self.work / f"{name}.journal"
            command += ("--journal", self.journals[name])
        self.daemons[name] = Daemon(self.work, name, *command)
        return self.daemons[name]

    def ask_operator(self, *command):
        done = subprocess.run([*self.operator, *command], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def user(self, name):
        """A user with money; the API key."""
        self.ask_operator("user", "add", name)
        self.ask_operator("deposit", name, self.deposit)
        return self.ask_operator("key", "add", name)["api_key"]

    def call(self, method, path, body=None, within_s=PATIENCE_S):
        connection = http.client.HTTPConnection(self.api, timeout=within_s)
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def models(self):
        return [model["id"] for model in json.loads(self.call("GET", "/v1/models")[1])["data"]]

    def end(self, how=signal.SIGTERM):
        """Whoever was started last first."""
        for daemon in reversed(self.daemons.values()):
            if daemon.is_up():
                daemon.end(how)
