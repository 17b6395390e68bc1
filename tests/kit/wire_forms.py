"""Complete responses of each protocol as backends write them; `test_sdks.py` checks their types.

Each is a list of events as framing returns them: lines ended by LF, without the blank line.
"""

OPENAI_CHAT = [
    (
        b'data: {"id":"chatcmpl-9","object":"chat.completion.chunk","created":1694268190,'
        b'"model":"gpt-4o-mini",'
        b'"system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"role":"assistant",'
        b'"content":""},'
        b'"logprobs":null,"finish_reason":null}]}\n'
    ),
    (
        b'data: {"id":"chatcmpl-9","object":"chat.completion.chunk","created":1694268190,'
        b'"model":"gpt-4o-mini",'
        b'"system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":"Hello"},'
        b'"logprobs":null,'
        b'"finish_reason":null}]}\n'
    ),
    (
        b'data: {"id":"chatcmpl-9","object":"chat.completion.chunk","created":1694268190,'
        b'"model":"gpt-4o-mini",'
        b'"system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{},"logprobs":null,'
        b'"finish_reason":"stop"}]}\n'
    ),
    (
        b'data: {"id":"chatcmpl-9","object":"chat.completion.chunk","created":1694268190,'
        b'"model":"gpt-4o-mini",'
        b'"system_fingerprint":"fp_44709d6fcb","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,'
        b'"total_tokens":10}}\n'
    ),
    b"data: [DONE]\n",
]
OPENAI_ERROR = (
    b'data: {"error":{"message":"The server had an error while processing your request.",'
    b'"type":"server_error",'
    b'"param":null,"code":null}}\n'
)

GOOGLE = [
    (
        b'data: {"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"index":0}],'
        b'"usageMetadata":{"promptTokenCount":4},"modelVersion":"gemini-2.5-flash","responseId":"r1"}\n'
    ),
    (
        b'data: {"candidates":[{"content":{"parts":[{"text":" world"}],"role":"model"},"index":0}],'
        b'"usageMetadata":{"promptTokenCount":4},"modelVersion":"gemini-2.5-flash","responseId":"r1"}\n'
    ),
    (
        b'data: {"candidates":[{"content":{"parts":[{"text":"."}],"role":"model"},"finishReason":"STOP",'
        b'"index":0}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":3},'
        b'"modelVersion":"gemini-2.5-flash","responseId":"r1"}\n'
    ),
]
GOOGLE_ERROR = (
    b'data: {"error":{"code":503,"message":"The model is overloaded. Please try again later.",'
    b'"status":"UNAVAILABLE"}}\n'
)
GOOGLE_BLOCKED = (
    b'data: {"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4},'
    b'"modelVersion":"gemini-2.5-flash","responseId":"r1"}\n'
)

OPENAI_RESPONSES = [
    (
        b'event: response.created\ndata: {"type":"response.created","sequence_number":0,'
        b'"response":{"id":"resp_1",'
        b'"object":"response","created_at":1741487325,"status":"in_progress","error":null,'
        b'"incomplete_details":null,'
        b'"instructions":null,"metadata":{},"model":"gpt-4o","output":[],"parallel_tool_calls":true,'
        b'"temperature":1.0,'
        b'"tool_choice":"auto","tools":[],"top_p":1.0}}\n'
    ),
    (
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":1,'
        b'"item_id":"msg_1","output_index":0,"content_index":0,"delta":"Hi","logprobs":[]}\n'
    ),
    (
        b'event: response.completed\ndata: {"type":"response.completed","sequence_number":2,'
        b'"response":{"id":"resp_1",'
        b'"object":"response","created_at":1741487325,"status":"completed","error":null,'
        b'"incomplete_details":null,'
        b'"instructions":null,"metadata":{},"model":"gpt-4o","output":[],"parallel_tool_calls":true,'
        b'"temperature":1.0,'
        b'"tool_choice":"auto","tools":[],"top_p":1.0}}\n'
    ),
]
RESPONSES_FAILED = (
    b'event: response.failed\ndata: {"type":"response.failed","sequence_number":2,"response":{"id":"resp_1",'
    b'"object":"response","created_at":1741487325,"status":"failed","error":{"code":"server_error",'
    b'"message":"The model failed to generate a response."},"incomplete_details":null,"instructions":null,'
    b'"metadata":{},"model":"gpt-4o","output":[],"parallel_tool_calls":true,"temperature":1.0,'
    b'"tool_choice":"auto","tools":[],"top_p":1.0}}\n'
)
RESPONSES_INCOMPLETE = (
    b'event: response.incomplete\ndata: {"type":"response.incomplete","sequence_number":2,'
    b'"response":{"id":"resp_1",'
    b'"object":"response","created_at":1741487325,"status":"incomplete","error":null,'
    b'"incomplete_details":{"reason":"max_output_tokens"},"instructions":null,"metadata":{},"model":"gpt-4o",'
    b'"output":[],"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","tools":[],'
    b'"top_p":1.0}}\n'
)
RESPONSES_ERROR = (
    b'event: error\ndata: {"type":"error","sequence_number":2,"code":"server_error",'
    b'"message":"Something went wrong",'
    b'"param":null}\n'
)

ANTHROPIC = [
    (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
        b'"role":"assistant","content":[],"model":"claude-opus-4-1","stop_reason":null,"stop_sequence":null,'
        b'"usage":{"input_tokens":25,"output_tokens":1}}}\n'
    ),
    (
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text",'
        b'"text":""}}\n'
    ),
    b'event: ping\ndata: {"type": "ping"}\n',
    (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta",'
        b'"text":"Hello"}}\n'
    ),
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n',
    (
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
        b'"stop_sequence":null},'
        b'"usage":{"output_tokens":15}}\n'
    ),
    b'event: message_stop\ndata: {"type":"message_stop"}\n',
]
ANTHROPIC_ERROR = (
    b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n'
)

AI_SDK = [
    b'data: {"type":"start","messageId":"msg-1"}\n',
    b'data: {"type":"start-step"}\n',
    b'data: {"type":"text-start","id":"text-1"}\n',
    b'data: {"type":"text-delta","id":"text-1","delta":"Hello"}\n',
    b'data: {"type":"text-end","id":"text-1"}\n',
    b'data: {"type":"finish-step"}\n',
    b'data: {"type":"finish"}\n',
    b"data: [DONE]\n",
]
AI_SDK_ERROR = b'data: {"type":"error","errorText":"The model failed."}\n'

MCP = [
    (
        b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress",'
        b'"params":{"progressToken":"p1",'
        b'"progress":0.5}}\n'
    ),
    (
        b'event: message\ndata: {"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"42"}],'
        b'"isError":false}}\n'
    ),
]
MCP_ERROR = (
    b'event: message\ndata: {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool: x"}}\n'
)
