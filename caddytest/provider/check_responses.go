package provider

import "strings"

// responsesFields are the fields of a request of OpenAI Responses.
const responsesFields = `background context_management conversation include input instructions max_output_tokens max_tool_calls
	metadata model parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options reasoning
	safety_identifier service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p
	truncation user`

// checkResponses checks a request of OpenAI Responses.
func checkResponses(c *checker, body map[string]any) {
	c.only("the request", body, responsesFields)
	c.text("model", body["model"])
	c.between(body, "temperature", 0, 2)
	c.between(body, "top_p", 0, 1)
	c.between(body, "max_output_tokens", 16, 1<<30)
	c.between(body, "top_logprobs", 0, 20)
	c.notLonger(body, "safety_identifier", 64)
	checkResponsesTools(c, body)
	if text := objectOf(body["text"]); text != nil {
		c.only("text", text, "format verbosity")
		output := objectOf(text["format"])
		if output != nil && c.oneOf("text.format", output["type"], "text json_object json_schema") == "json_schema" {
			c.name("the schema's name", output["name"], 64)
			c.check(objectOf(output["schema"]) != nil, "text.format without a schema")
		}
	}
	if text, ok := body["input"].(string); ok {
		c.check(text != "", "no input")
		return
	}
	items := objectsOf(body["input"])
	c.check(len(items) > 0, "no input")
	var waiting pending
	for _, item := range items {
		checkItem(c, item, &waiting)
	}
	waiting.none(c)
}

// checkItem checks an item of the input.
func checkItem(c *checker, item map[string]any, waiting *pending) {
	kind, ok := item["type"].(string)
	if !ok {
		kind = "message"
	}
	switch c.oneOf("an item's type", kind, "message function_call function_call_output custom_tool_call custom_tool_call_output reasoning") {
	case "message":
		c.only("a message", item, "type role content id status phase")
		role := c.oneOf("role", item["role"], "user assistant system developer")
		if _, ok := item["content"].(string); !ok {
			checkResponsesParts(c, role, objectsOf(item["content"]))
		}
	case "function_call":
		c.only("a call", item, "type id call_id name arguments status namespace")
		id := c.text("a call's id", item["call_id"])
		c.check(len(id) <= 64, "the call id %q is longer than 64 characters", id)
		c.name("a call's name", item["name"], 128)
		c.arguments("a call", item["arguments"])
		*waiting = append(*waiting, id)
	case "custom_tool_call":
		c.only("a call", item, "type id call_id name input status namespace")
		c.name("a call's name", item["name"], 128)
		c.text("the input of a call", item["input"])
		*waiting = append(*waiting, c.text("a call's id", item["call_id"]))
	case "function_call_output", "custom_tool_call_output":
		c.only("a result", item, "type id call_id output status")
		waiting.settle(c, c.text("a result's call", item["call_id"]))
		if _, ok := item["output"].(string); !ok {
			checkResponsesParts(c, "user", objectsOf(item["output"]))
		}
	case "reasoning":
		c.only("reasoning", item, "type id summary content encrypted_content status")
		c.check(item["summary"] != nil, "reasoning without a summary")
	}
}

// checkResponsesParts checks the parts of a message or a result.
func checkResponsesParts(c *checker, role string, parts []map[string]any) {
	c.check(len(parts) > 0, "a %s message without parts", role)
	types := "input_text input_image input_file"
	if role == "assistant" {
		types = "output_text refusal"
	}
	for _, part := range parts {
		switch c.oneOf("a part of a message of the "+role, part["type"], types) {
		case "input_text", "output_text":
			c.text("a text part", part["text"])
		case "input_image":
			if part["file_id"] == nil {
				url := c.text("an image's url", part["image_url"])
				c.check(strings.HasPrefix(url, "data:image/") || strings.HasPrefix(url, "https://"), "an image with the url %.40q", url)
			}
		case "input_file":
			c.only("a file", part, "type file_data file_id file_url filename detail")
			if part["file_data"] != nil {
				c.text("a file's name", part["filename"])
			}
		}
	}
}

// checkResponsesTools checks the tools and the choice among them.
func checkResponsesTools(c *checker, body map[string]any) {
	tools := objectsOf(body["tools"])
	for _, tool := range tools {
		checkResponsesTool(c, tool)
	}
	choice, ok := body["tool_choice"]
	if !ok {
		return
	}
	c.check(len(tools) > 0, "tool_choice without tools")
	if _, ok := choice.(string); ok {
		c.oneOf("tool_choice", choice, "none auto required")
	} else if objectOf(choice)["type"] == "allowed_tools" {
		checkAllowed(c, objectOf(choice))
	} else if objectOf(choice)["type"] == "function" {
		c.name("the chosen tool", objectOf(choice)["name"], 128)
	}
}

// checkResponsesTool checks a tool, or those of a namespace.
func checkResponsesTool(c *checker, tool map[string]any) {
	switch kind := c.oneOf("a tool's type", tool["type"], "function custom namespace web_search"); kind {
	case "function":
		c.only("a function", tool, "type name description parameters strict")
		c.name("a tool's name", tool["name"], 128)
		if tool["parameters"] != nil {
			c.check(objectOf(tool["parameters"])["type"] == "object", "a tool's parameters are no object")
		}
	case "custom":
		c.only("a custom tool", tool, "type name description format")
		c.name("a tool's name", tool["name"], 128)
	case "namespace":
		c.only("a namespace", tool, "type name description tools")
		inner := objectsOf(tool["tools"])
		c.check(len(inner) > 0, "a namespace without tools")
		for _, t := range inner {
			checkResponsesTool(c, t)
		}
	}
}
