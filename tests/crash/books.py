"""The books, from the databases alone: labman's own audit of them, and sums by other means (SQL)."""

import json
import sqlite3
import subprocess


class Books:
    def __init__(self, mesh):
        self.mesh = mesh
        self.fep, self.gateway = mesh.data("fep"), mesh.data("gateway")
        self.providers = [mesh.data("provider-1"), mesh.data("provider-2")]

    def audits(self, fep=None, providers=None):
        """Every audit that there is: its name, what it says, and whether the program failed."""
        fep, found = fep or self.fep, []
        found.append(self.audit("fep", "labman-fep", "ledger", "check", "--data-dir", fep))
        for provider in providers or self.providers:
            found.append(
                self.audit(
                    provider.name.removesuffix("-data"), "labman-cli", "audit", "--data-dir", provider,
                    "--fep-data-dir", fep, "--gateway-data-dir", self.gateway,
                )
            )  # fmt: skip
        return found

    def audit(self, name, program, *options):
        command = [self.mesh.path(program), "--json", *options]
        done = subprocess.run(command, capture_output=True, text=True)
        if not done.stdout:
            raise RuntimeError(f"{command} said nothing: {done.stderr}")
        return name, json.loads(done.stdout), done.returncode

    def receipts(self):
        """How many the FEP issued, and how many of them the providers have."""
        held = [len(rows(provider, table)) for provider in self.providers for table in ("receipts_open", "receipts_paid")]
        return len(rows(self.fep, "receipts")), sum(held)

    def under_way(self):
        """What keeps money from being at rest, in words; nothing if it is."""
        jobs = rows(self.gateway, "gateway_jobs").values()
        # Ended without a provider, nothing is owed: that row only waits until no late answer can make a hold of it.
        settling = [row for row in jobs if row["state"] == "asked" or row["provider"]]
        if settling:
            return f"{len(settling)} jobs run or are being settled"
        for provider in self.providers:
            # A receipt for nothing can't be claimed alone.
            waiting = [row for row in rows(provider, "receipts_open").values() if row["receipt"]["payout"]]
            if waiting:
                return f"{len(waiting)} receipts of {provider.name} wait to be paid"
        return None


def rows(data_dir, table):
    connection = sqlite3.connect(f"file:{data_dir / 'labman.sqlite'}?mode=ro", uri=True)
    try:
        return {key: json.loads(value) for key, value in connection.execute(f'select key, value from "{table}"')}
    finally:
        connection.close()


def change(data_dir, statement, *values):
    """Spoils a copy of a store."""
    connection = sqlite3.connect(data_dir / "labman.sqlite")
    with connection:
        changed = connection.execute(statement, values).rowcount
    connection.close()
    assert changed == 1, f"{statement} changed {changed} rows"
