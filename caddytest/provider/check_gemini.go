package provider

import (
	"encoding/base64"
	"regexp"
	"strings"
)

const (
	// geminiFields are the fields of a request of Gemini.
	geminiFields = `cachedContent contents generationConfig labels safetySettings serviceTier store systemInstruction toolConfig tools`
	// generationFields are those of its generationConfig.
	generationFields = `candidateCount enableEnhancedCivicAnswers frequencyPenalty imageConfig logprobs maxOutputTokens
		mediaResolution presencePenalty responseJsonSchema responseLogprobs responseMimeType responseModalities responseSchema
		seed speechConfig stopSequences temperature thinkingConfig topK topP`
)

// geminiName is the name of a function of Gemini.
var geminiName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$`)

// checkGemini checks a request of Gemini.
func checkGemini(c *checker, body map[string]any) {
	c.only("the request", body, geminiFields)
	if system := objectOf(body["systemInstruction"]); system != nil {
		c.check(len(objectsOf(system["parts"])) > 0, "systemInstruction without parts")
	}
	checkGeneration(c, objectOf(body["generationConfig"]))
	checkGeminiTools(c, body)
	contents := objectsOf(body["contents"])
	c.check(len(contents) > 0, "no contents")
	var waiting pending
	previous := "model"
	for i, content := range contents {
		c.only("a content", content, "role parts")
		role := c.oneOf("role", content["role"], "user model")
		c.check(role != previous, "content %d: two contents of the %s in a row", i, role)
		previous = role
		parts := objectsOf(content["parts"])
		c.check(len(parts) > 0, "a content without parts")
		calls := waiting
		waiting = nil
		for _, part := range parts {
			checkPart(c, role, part, &calls, &waiting)
		}
		calls.none(c)
	}
	waiting.none(c)
}

// checkGeneration checks a generationConfig.
func checkGeneration(c *checker, config map[string]any) {
	c.only("generationConfig", config, generationFields)
	c.between(config, "temperature", 0, 2)
	c.between(config, "topP", 0, 1)
	c.between(config, "topK", 1, 1<<30)
	c.between(config, "frequencyPenalty", -2, 2)
	c.between(config, "presencePenalty", -2, 2)
	c.between(config, "candidateCount", 1, 8)
	c.between(config, "logprobs", 0, 20)
	c.check(config["logprobs"] == nil || config["responseLogprobs"] == true, "logprobs without responseLogprobs")
	c.between(config, "maxOutputTokens", 1, 1<<30)
	c.between(config, "seed", -1<<31, 1<<31-1)
	if stop, ok := config["stopSequences"].([]any); ok {
		c.check(len(stop) >= 1 && len(stop) <= 5, "%d stop sequences", len(stop))
	}
	if thinking := objectOf(config["thinkingConfig"]); thinking != nil {
		c.only("thinkingConfig", thinking, "includeThoughts thinkingBudget thinkingLevel")
		c.check(thinking["thinkingBudget"] == nil || thinking["thinkingLevel"] == nil, "a budget and a level of thinking")
	}
	if config["responseJsonSchema"] != nil || config["responseSchema"] != nil {
		c.check(config["responseMimeType"] == "application/json", "a schema with the type %v", config["responseMimeType"])
	}
}

// checkPart checks a part of a content. calls are those of the content before,
// which wait for results; made are those of this one.
func checkPart(c *checker, role string, part map[string]any, calls, made *pending) {
	c.only("a part", part, "text thought thoughtSignature inlineData fileData functionCall functionResponse videoMetadata mediaResolution")
	data := 0
	for _, name := range strings.Fields("text inlineData fileData functionCall functionResponse") {
		if part[name] != nil {
			data++
		}
	}
	c.check(data == 1, "a part with %d kinds of data", data)
	if signature, ok := part["thoughtSignature"].(string); ok {
		_, err := base64.StdEncoding.DecodeString(signature)
		c.check(err == nil || signature == "skip_thought_signature_validator", "the thoughtSignature %q is no base64", signature)
	}
	switch {
	case part["functionCall"] != nil:
		call := objectOf(part["functionCall"])
		c.check(role == "model", "a call of the %s", role)
		c.only("a call", call, "id name args")
		c.geminiName(call["name"])
		*made = append(*made, c.text("a call's name", call["name"]))
	case part["functionResponse"] != nil:
		result := objectOf(part["functionResponse"])
		c.check(role == "user", "a result of the %s", role)
		c.only("a result", result, "id name response parts willContinue scheduling")
		c.check(objectOf(result["response"]) != nil, "a result without an object")
		calls.settle(c, c.text("a result's name", result["name"]))
	case part["inlineData"] != nil:
		blob := objectOf(part["inlineData"])
		c.text("the mimeType of a blob", blob["mimeType"])
		_, err := base64.StdEncoding.DecodeString(c.text("the data of a blob", blob["data"]))
		c.check(err == nil, "the data of a blob is no base64")
	}
}

// geminiName checks the name of a function.
func (c *checker) geminiName(value any) {
	s, _ := value.(string)
	c.check(geminiName.MatchString(s), "%q is no name of a function", s)
}

// checkGeminiTools checks the tools and the choice among them.
func checkGeminiTools(c *checker, body map[string]any) {
	functions := 0
	for _, tool := range objectsOf(body["tools"]) {
		c.only("a tool", tool, "functionDeclarations googleSearch codeExecution urlContext")
		for _, function := range objectsOf(tool["functionDeclarations"]) {
			functions++
			c.only("a function", function, "name description parameters parametersJsonSchema behavior response")
			c.geminiName(function["name"])
			c.check(function["parameters"] == nil || function["parametersJsonSchema"] == nil, "a function with two schemas")
		}
	}
	choice := objectOf(objectOf(body["toolConfig"])["functionCallingConfig"])
	if choice == nil {
		return
	}
	c.check(functions > 0, "toolConfig without functions")
	mode := c.oneOf("the mode of calls", choice["mode"], "AUTO ANY NONE VALIDATED")
	if choice["allowedFunctionNames"] != nil {
		c.check(mode == "ANY" || mode == "VALIDATED", "allowedFunctionNames with the mode %s", mode)
	}
}
