package provider

import "strings"

// chatFields are the fields of a request of OpenAI chat.
const chatFields = `audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
	messages metadata modalities model n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options
	reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options temperature
	tool_choice tools top_logprobs top_p user verbosity web_search_options`

// checkChat checks a request of OpenAI chat.
func checkChat(c *checker, body map[string]any) {
	c.only("the request", body, chatFields)
	c.text("model", body["model"])
	c.between(body, "temperature", 0, 2)
	c.between(body, "top_p", 0, 1)
	c.between(body, "frequency_penalty", -2, 2)
	c.between(body, "presence_penalty", -2, 2)
	c.between(body, "n", 1, 128)
	c.between(body, "top_logprobs", 0, 20)
	c.check(body["top_logprobs"] == nil || body["logprobs"] == true, "top_logprobs without logprobs")
	c.notLonger(body, "safety_identifier", 64)
	c.between(body, "max_tokens", 1, 1<<30)
	c.between(body, "max_completion_tokens", 1, 1<<30)
	if stop, ok := body["stop"].([]any); ok {
		c.check(len(stop) >= 1 && len(stop) <= 4, "%d stop sequences", len(stop))
	}
	if body["stream_options"] != nil {
		c.check(body["stream"] == true, "stream_options without stream")
	}
	checkChatTools(c, body)
	checkChatOutput(c, objectOf(body["response_format"]))
	messages := objectsOf(body["messages"])
	c.check(len(messages) > 0, "no messages")
	var waiting pending
	for _, m := range messages {
		checkChatMessage(c, m, &waiting)
	}
	waiting.none(c)
}

// checkChatMessage checks a message, and that results follow their calls at
// once.
func checkChatMessage(c *checker, m map[string]any, waiting *pending) {
	role := c.oneOf("role", m["role"], "system developer user assistant tool")
	if role == "tool" {
		waiting.settle(c, c.text("tool_call_id", m["tool_call_id"]))
		c.only("a tool message", m, "role content tool_call_id")
		checkChatContent(c, role, m["content"])
		return
	}
	waiting.none(c)
	if role != "assistant" {
		c.only("a message", m, "role content name")
		checkChatContent(c, role, m["content"])
		return
	}
	c.only("an assistant message", m, "role content name tool_calls refusal reasoning_content reasoning_details audio annotations")
	calls := objectsOf(m["tool_calls"])
	if m["content"] != nil {
		checkChatContent(c, role, m["content"])
	} else {
		c.check(len(calls) > 0 || m["refusal"] != nil, "an assistant message without content")
	}
	for _, call := range calls {
		*waiting = append(*waiting, checkChatCall(c, call))
	}
}

// checkChatCall checks a call and returns its id.
func checkChatCall(c *checker, call map[string]any) string {
	id := c.text("a call's id", call["id"])
	c.check(len(id) <= 40, "the call id %q is longer than 40 characters", id)
	if c.oneOf("a call's type", call["type"], "function custom") == "custom" {
		custom := objectOf(call["custom"])
		c.name("a call's name", custom["name"], 64)
		c.text("the input of a call", custom["input"])
		return id
	}
	function := objectOf(call["function"])
	c.name("a call's name", function["name"], 64)
	c.arguments("a call", function["arguments"])
	return id
}

// checkChatContent checks the content of a message.
func checkChatContent(c *checker, role string, content any) {
	if _, ok := content.(string); ok {
		return
	}
	parts := objectsOf(content)
	c.check(len(parts) > 0, "a %s message with the content %v", role, content)
	types := "text"
	switch role {
	case "user":
		types = "text image_url input_audio file"
	case "assistant":
		types = "text refusal"
	}
	for _, part := range parts {
		switch kind := c.oneOf("a part of a message of the "+role, part["type"], types); kind {
		case "text":
			c.text("a text part", part["text"])
		case "image_url":
			url := c.text("an image's url", objectOf(part["image_url"])["url"])
			c.check(strings.HasPrefix(url, "data:image/") || strings.HasPrefix(url, "https://"), "an image with the url %.40q", url)
		case "input_audio":
			audio := objectOf(part["input_audio"])
			c.oneOf("the format of sound", audio["format"], "wav mp3")
			c.text("the data of sound", audio["data"])
		case "file":
			file := objectOf(part["file"])
			c.only("a file", file, "file_data file_id filename")
			if file["file_data"] != nil {
				c.text("a file's name", file["filename"])
			}
		}
	}
}

// checkChatTools checks the tools and the choice among them.
func checkChatTools(c *checker, body map[string]any) {
	tools := objectsOf(body["tools"])
	for _, tool := range tools {
		if c.oneOf("a tool's type", tool["type"], "function custom") == "custom" {
			custom := objectOf(tool["custom"])
			c.only("a custom tool", custom, "name description format")
			c.name("a tool's name", custom["name"], 64)
			continue
		}
		function := objectOf(tool["function"])
		c.only("a function", function, "name description parameters strict")
		c.name("a tool's name", function["name"], 64)
		if function["parameters"] != nil {
			c.check(objectOf(function["parameters"])["type"] == "object", "a tool's parameters are no object")
		}
	}
	if choice, ok := body["tool_choice"]; ok {
		c.check(len(tools) > 0, "tool_choice without tools")
		if _, ok := choice.(string); ok {
			c.oneOf("tool_choice", choice, "none auto required")
		} else if c.oneOf("tool_choice", objectOf(choice)["type"], "function custom allowed_tools") == "allowed_tools" {
			checkAllowed(c, objectOf(objectOf(choice)["allowed_tools"]))
		}
	}
	if body["parallel_tool_calls"] != nil {
		c.check(len(tools) > 0, "parallel_tool_calls without tools")
	}
}

// checkAllowed checks a choice among some of the tools of OpenAI's formats.
func checkAllowed(c *checker, choice map[string]any) {
	c.oneOf("the mode of allowed tools", choice["mode"], "auto required")
	c.check(len(objectsOf(choice["tools"])) > 0, "a choice among no tools")
}

// checkChatOutput checks a response_format.
func checkChatOutput(c *checker, output map[string]any) {
	if output == nil || c.oneOf("response_format", output["type"], "text json_object json_schema") != "json_schema" {
		return
	}
	schema := objectOf(output["json_schema"])
	c.name("the schema's name", schema["name"], 64)
	c.check(objectOf(schema["schema"]) != nil, "response_format without a schema")
}
