"""A conversation as the text that the model sees: what Hearth's chat template makes of it, cut into segments.

Classes of segments (what a token is worth in training):
  NONE 0     nothing is learned from it
  CONTEXT 1  what others wrote: prompts, users, results
  TARGET 2   what the assistant writes, with its end token
  DECIDED 3  of that, what the conversation decides: calls, whether it calls at all, the words that stand in a result
             (`decided`). The rest is wording, which could be another as well
`test_render.py` and the test `recipe_render` hold this against Hearth's own renderer.
"""
import json
import re

NONE, CONTEXT, TARGET, DECIDED = 0, 1, 2, 3
WORD = re.compile(r"[\w@#€$%]+(?:[.:/'_-][\w%]+)*")

TOOLS_HEAD = ("# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
              "You are provided with function signatures within <tools></tools> XML tags:\n<tools>")
TOOLS_TAIL = ("\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
              "<tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": "
              "<args-json-object>}\n</tool_call><|im_end|>\n")


def dumps(value):
    return json.dumps(value, ensure_ascii=False)


def call_text(call):
    return f'<tool_call>\n{{"name": {dumps(call["name"])}, "arguments": {dumps(call["arguments"])}}}\n</tool_call>'


def system_text(doc):
    if doc.get("tools"):
        text = "<|im_start|>system\n" + (doc["sys"] + "\n\n" if doc.get("sys") else "") + TOOLS_HEAD
        for tool in doc["tools"]:
            text += "\n" + dumps({"type": "function", "function": tool})
        return text + TOOLS_TAIL
    return f"<|im_start|>system\n{doc['sys']}<|im_end|>\n" if doc.get("sys") else ""


def calls_of(message):
    return message.get("calls") or ([message["call"]] if "call" in message else [])


def render(doc, upto=None):
    """[(text, class)]. With upto: the first `upto` messages and the opening of the assistant's next."""
    context, segments = system_text(doc), []
    messages = doc["messages"] if upto is None else doc["messages"][:upto]
    for i, message in enumerate(messages):
        role = message["role"]
        if role == "user":
            context += f"<|im_start|>user\n{message['content']}<|im_end|>\n"
        elif role == "tool":
            if i == 0 or messages[i - 1]["role"] != "tool":
                context += "<|im_start|>user"
            context += f"\n<tool_response>\n{message['content']}\n</tool_response>"
            if i + 1 == len(messages) or messages[i + 1]["role"] != "tool":
                context += "<|im_end|>\n"
        else:
            segments.append((context + "<|im_start|>assistant\n", CONTEXT))
            context = "\n"
            if "pieces" in message:
                segments += [(text, TARGET if learned else NONE) for text, learned in message["pieces"]]
                segments.append(("<|im_end|>", TARGET))
                continue
            body = message.get("content") or ""
            for call in calls_of(message):
                body += ("\n" if body else "") + call_text(call)
            segments.append((body + "<|im_end|>", NONE if message.get("quiet") else TARGET))
    if upto is not None:
        context += "<|im_start|>assistant\n"
    if context and (context != "\n" or upto is None):
        segments.append((context, CONTEXT))
    return segments


def decided(segments):
    """For each segment the parts of its text that are DECIDED, as a list of (begin, end)."""
    out, before = [], ""
    for text, kind in segments:
        spans = []
        if kind == TARGET:
            users = [m.group(1) for m in re.finditer(r"<\|im_start\|>user\n(?!<tool_response>)(.*?)<\|im_end\|>", before, re.S)]
            results = re.findall(r"<tool_response>\n(.*?)\n</tool_response>", before, re.S)
            asked = set(WORD.findall(users[-1])) if users else set()
            known = {w for r in results for w in WORD.findall(r)} - asked if results else {w for u in users for w in WORD.findall(u)}
            answer = text.find("<tool_call>")
            answer = len(text) if answer < 0 else answer
            spans = [(0, 1)] + [m.span() for m in WORD.finditer(text, 0, answer) if m.group(0) in known]
            spans += [(answer, len(text))] if answer < len(text) else [(max(0, len(text) - len("<|im_end|>")), len(text))]
        out.append(spans)
        before += text
    return out


def read_calls(text):
    """The calls that the text makes; None for a broken one."""
    calls = []
    for body in re.findall(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|$)", text, re.S):
        try:
            call = json.loads(body)
            calls.append({"name": call["name"], "arguments": call["arguments"]})
        except (ValueError, KeyError, TypeError):
            return None
    return calls
