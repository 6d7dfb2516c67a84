"""Steady load: a few users who ask again and again, with and without a stream, and what they know of the answers."""

import http.client
import json
import random
import threading
import time

# A user who was refused asks again after this.
PAUSE_S = 0.2
TIMEOUT_S = 30


class Answer:
    """One that came whole: its request's name, how much it says was delivered, and in which life of the gateway."""

    def __init__(self, request_id, output, life):
        self.request_id, self.output, self.life = request_id, output, life


class Load:
    def __init__(self, api, keys, at_once, seed, gateway_life):
        self.api, self.gateway_life = api, gateway_life
        self.lock = threading.Lock()
        self.whole, self.lost, self.asked_at = [], 0, {}
        self.stop = threading.Event()
        self.threads = [
            threading.Thread(target=self.user, args=(keys[n % len(keys)], random.Random(f"{seed}:{n}")), daemon=True)
            for n in range(at_once)
        ]
        for thread in self.threads:
            thread.start()

    def served(self):
        with self.lock:
            return len(self.whole)

    def counts(self):
        with self.lock:
            return len(self.whole), self.lost

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(TIMEOUT_S)
        assert not any(thread.is_alive() for thread in self.threads), "a user is still being answered"

    def user(self, key, chance):
        while not self.stop.is_set():
            life = self.gateway_life()
            try:
                answer = self.ask(key, chance, life)
            except (OSError, http.client.HTTPException, ValueError):
                answer = None
            with self.lock:
                if answer:
                    self.whole.append(answer)
                else:
                    self.lost += 1
            if not answer:
                self.stop.wait(PAUSE_S)

    def ask(self, key, chance, life):
        """`None`: it did not come whole."""
        streams, leaves = chance.random() < 0.6, chance.random() < 0.1
        body = {
            "model": "labman-toy",
            "messages": [{"role": "user", "content": f"Tell me about lantern {chance.randrange(1000)}."}],
            "max_tokens": chance.randint(1, 24),
            "seed": chance.randrange(1 << 30),
        }
        if streams:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        connection = http.client.HTTPConnection(self.api, timeout=TIMEOUT_S)
        try:
            headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            response = connection.getresponse()
            if response.status != 200:
                response.read()
                return None
            request_id = response.getheader("x-request-id").removeprefix("req_")
            output = self.stream(response, leaves and chance.randint(1, 8)) if streams else self.document(response)
            return output is not None and Answer(request_id, output, life) or None
        finally:
            connection.close()

    @staticmethod
    def document(response):
        return json.loads(response.read())["usage"]["completion_tokens"]

    @staticmethod
    def stream(response, leaves_after):
        """Output tokens, if it came to its end; a user may leave in the middle."""
        output = events = 0
        for line in response:
            data = line.decode().strip().removeprefix("data:").strip()
            if data == "[DONE]":
                return output
            if not data:
                continue
            event = json.loads(data)
            if "error" in event:
                return None
            output = (event.get("usage") or {}).get("completion_tokens", output)
            events += 1
            if leaves_after and events >= leaves_after:
                return None
        return None


def wait_until(moment):
    """A random moment is the point here, not a condition."""
    time.sleep(max(0.0, moment - time.monotonic()))
