"""Most calls that are made up name no model that there is. Half of them are made to, and to ask for little, so that they are served."""

import schemathesis

MODELS = {
    "/chat/completions": "tiny-text",
    "/responses": "tiny-text",
    "/completions": "tiny-text",
    "/embeddings": "tiny-embed",
}
BOUND = {"/chat/completions": "max_completion_tokens", "/responses": "max_output_tokens", "/completions": "max_tokens"}
calls = 0


@schemathesis.hook
def before_call(context, case, **kwargs):
    global calls
    calls += 1
    path = case.operation.path
    # OpenAI answers this with texts, and its description says lists of numbers.
    if isinstance(case.body, dict) and case.body.get("encoding_format") == "base64":
        case.body["encoding_format"] = "float"
    if calls % 2 or path not in MODELS or not isinstance(case.body, dict):
        return
    case.body["model"] = MODELS[path]
    if path in BOUND:
        case.body[BOUND[path]] = 4
