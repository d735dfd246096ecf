package provider

import "strings"

// messagesFields are the fields of a request of Anthropic messages.
const messagesFields = `cache_control container context_management inference_geo max_tokens mcp_servers messages metadata
	model output_config service_tier speed stop_sequences stream system temperature thinking tool_choice tools top_k top_p`

// checkMessages checks a request of Anthropic messages.
func checkMessages(c *checker, body map[string]any) {
	c.only("the request", body, messagesFields)
	c.text("model", body["model"])
	c.check(body["max_tokens"] != nil, "no max_tokens")
	c.between(body, "max_tokens", 1, 1<<30)
	c.between(body, "temperature", 0, 1)
	c.between(body, "top_p", 0, 1)
	if metadata := objectOf(body["metadata"]); metadata != nil {
		c.only("metadata", metadata, "user_id")
		c.notLonger(metadata, "user_id", 256)
	}
	if system, ok := body["system"].([]any); ok {
		for _, block := range objectsOf(system) {
			c.check(strings.TrimSpace(c.text("a system block", block["text"])) != "", "an empty system block")
		}
	}
	checkThinking(c, body)
	checkMessagesTools(c, body)
	turns := objectsOf(body["messages"])
	c.check(len(turns) > 0, "no messages")
	var waiting pending
	previous := "assistant"
	for i, turn := range turns {
		role := c.oneOf("role", turn["role"], "user assistant")
		c.check(role != previous, "message %d: two turns of the %s in a row", i, role)
		previous = role
		checkTurn(c, role, turn["content"], i == len(turns)-1, &waiting)
	}
	waiting.none(c)
}

// checkThinking checks what a request says about thinking.
func checkThinking(c *checker, body map[string]any) {
	thinking := objectOf(body["thinking"])
	if thinking == nil || c.oneOf("thinking", thinking["type"], "enabled disabled adaptive between_tools") != "enabled" {
		return
	}
	budget, _ := thinking["budget_tokens"].(float64)
	most, _ := body["max_tokens"].(float64)
	c.check(budget >= 1024 && budget < most, "a budget of %v with max_tokens %v", budget, most)
	c.check(body["temperature"] == nil || body["temperature"] == 1.0, "thinking with a temperature")
	c.check(body["top_k"] == nil, "thinking with top_k")
}

// checkMessagesTools checks the tools and the choice among them.
func checkMessagesTools(c *checker, body map[string]any) {
	tools := objectsOf(body["tools"])
	for _, tool := range tools {
		if kind := tool["type"]; kind != nil && kind != "custom" {
			c.text("the name of a tool of Anthropic's own", tool["name"])
			continue
		}
		c.only("a tool", tool, "type name description input_schema strict cache_control")
		c.name("a tool's name", tool["name"], 128)
		c.check(objectOf(tool["input_schema"])["type"] == "object", "a tool's input_schema is no object")
	}
	choice := objectOf(body["tool_choice"])
	if choice == nil {
		c.check(body["tool_choice"] == nil, "tool_choice is no object")
		return
	}
	c.check(len(tools) > 0, "tool_choice without tools")
	switch c.oneOf("tool_choice", choice["type"], "auto any tool none") {
	case "tool":
		c.name("the chosen tool", choice["name"], 128)
	case "none":
		c.only("tool_choice", choice, "type")
	}
}

// checkTurn checks a turn: results stand first, and settle all the calls of the
// turn before.
func checkTurn(c *checker, role string, content any, last bool, waiting *pending) {
	if text, ok := content.(string); ok {
		content = []any{map[string]any{"type": "text", "text": text}}
	}
	blocks := objectsOf(content)
	c.check(len(blocks) > 0 || role == "assistant" && last, "a turn without content")
	results := role == "user"
	for i, block := range blocks {
		kind, _ := block["type"].(string)
		results = results && kind == "tool_result"
		checkBlock(c, role, kind, block, waiting, results)
		if kind == "text" && role == "assistant" && last && i == len(blocks)-1 {
			text, _ := block["text"].(string)
			c.check(text == strings.TrimRight(text, " \t\r\n"), "the last assistant text ends in whitespace")
		}
	}
	if role == "user" {
		waiting.none(c)
	}
}

// checkBlock checks a block of a turn.
func checkBlock(c *checker, role, kind string, block map[string]any, waiting *pending, results bool) {
	types := "text image document tool_result"
	if role == "assistant" {
		types = "text thinking redacted_thinking tool_use"
	}
	switch c.oneOf("a block of the "+role, kind, types) {
	case "text":
		c.check(strings.TrimSpace(c.text("a text block", block["text"])) != "", "an empty text block")
	case "image", "document":
		checkSource(c, kind, objectOf(block["source"]))
	case "thinking":
		c.text("a thinking block's signature", block["signature"])
	case "redacted_thinking":
		c.text("the data of redacted thinking", block["data"])
	case "tool_use":
		*waiting = append(*waiting, c.name("a call's id", block["id"], 128))
		c.name("a call's name", block["name"], 128)
		c.check(objectOf(block["input"]) != nil, "a call's input is no object")
	case "tool_result":
		c.check(results, "a result behind other blocks of its turn")
		c.only("a result", block, "type tool_use_id content is_error cache_control")
		waiting.settle(c, c.text("a result's call", block["tool_use_id"]))
		for _, inner := range objectsOf(block["content"]) {
			inside, _ := inner["type"].(string)
			checkBlock(c, role, inside, inner, waiting, false)
			c.check(inside != "tool_result", "a result in a result")
		}
	}
}

// checkSource checks the source of an image or a document.
func checkSource(c *checker, kind string, source map[string]any) {
	switch c.oneOf("the source of a "+kind, source["type"], "base64 url text content file") {
	case "base64":
		types := "image/jpeg image/png image/gif image/webp"
		if kind == "document" {
			types = "application/pdf"
		}
		c.oneOf("the media_type of a "+kind, source["media_type"], types)
		c.text("the data of a "+kind, source["data"])
	case "url":
		c.check(strings.HasPrefix(c.text("the url of a "+kind, source["url"]), "https://"), "a url that is not https")
	}
}
