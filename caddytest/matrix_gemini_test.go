package caddytest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// geminiSpeaker speaks Gemini's generateContent.
type geminiSpeaker struct{}

func (geminiSpeaker) path(t talk) string {
	if t.stream {
		return "/v1beta/models/" + t.model + ":streamGenerateContent?alt=sse"
	}
	return "/v1beta/models/" + t.model + ":generateContent"
}

func (geminiSpeaker) say(t talk) string {
	o, config := object{}, object{}
	if t.system != "" {
		o["systemInstruction"] = object{"parts": []any{object{"text": t.system}}}
	}
	var contents []any
	for _, turn := range t.turns {
		if turn.raw != "" {
			contents = append(contents, json.RawMessage(turn.raw))
			continue
		}
		role := "user"
		if turn.assistant {
			role = "model"
		}
		contents = append(contents, object{"role": role, "parts": geminiParts(turn)})
	}
	o["contents"] = contents
	var functions []any
	for _, name := range t.tools {
		functions = append(functions, object{"name": name, "description": "Knows " + name + ".", "parametersJsonSchema": citySchema})
	}
	switch {
	case functions != nil:
		o["tools"] = []any{object{"functionDeclarations": functions}}
	case t.search:
		o["tools"] = []any{object{"googleSearch": object{}}}
	}
	if t.force != "" {
		o["toolConfig"] = object{"functionCallingConfig": object{"mode": "ANY", "allowedFunctionNames": []string{t.force}}}
	}
	if t.schema != "" {
		config["responseMimeType"] = "application/json"
		config["responseJsonSchema"] = json.RawMessage(t.schema)
	}
	if t.limit > 0 {
		config["maxOutputTokens"] = t.limit
	}
	config["thinkingConfig"] = object{"includeThoughts": true}
	if t.effort != "" {
		config["thinkingConfig"] = object{"includeThoughts": true, "thinkingLevel": strings.ToUpper(t.effort)}
	}
	o["generationConfig"] = config
	return written(o, t)
}

// geminiParts are the parts of a turn.
func geminiParts(t turn) []any {
	var out []any
	for _, p := range t.parts {
		switch p.kind {
		case partText:
			out = append(out, object{"text": p.text})
		case partImage, partDocument, partAudio:
			if p.url != "" {
				out = append(out, object{"fileData": object{"mimeType": p.mime, "fileUri": p.url}})
				continue
			}
			out = append(out, object{"inlineData": object{"mimeType": p.mime, "data": p.data}})
		case partCall:
			out = append(out, object{"functionCall": object{"id": p.id, "name": p.name, "args": json.RawMessage(p.arguments)}})
		case partResult:
			result := object{"id": p.id, "name": p.name, "response": object{"output": p.text}}
			if p.failed {
				result["response"] = object{"error": p.text}
			}
			if p.image != "" {
				result["parts"] = []any{object{"inlineData": object{"mimeType": "image/png", "data": p.image}}}
			}
			out = append(out, object{"functionResponse": result})
		}
	}
	return out
}

func (geminiSpeaker) understand(body []byte) talk {
	doc := gjson.ParseBytes(body)
	t := talk{
		system: chatText(doc.Get("systemInstruction.parts")),
		schema: doc.Get("generationConfig.responseJsonSchema").Raw,
		limit:  int(doc.Get("generationConfig.maxOutputTokens").Int()),
		force:  doc.Get("toolConfig.functionCallingConfig.allowedFunctionNames.0").String(),
		effort: strings.ToLower(doc.Get("generationConfig.thinkingConfig.thinkingLevel").String()),
	}
	if budget := doc.Get("generationConfig.thinkingConfig.thinkingBudget"); budget.Exists() {
		t.effort = "a budget of " + budget.Raw
	}
	for _, name := range doc.Get("tools.0.functionDeclarations.#.name").Array() {
		t.tools = append(t.tools, name.String())
	}
	t.search = doc.Get("tools.0.googleSearch").Exists()
	for _, content := range doc.Get("contents").Array() {
		turn := turn{assistant: content.Get("role").String() == "model"}
		for _, raw := range content.Get("parts").Array() {
			turn.parts = append(turn.parts, geminiPart(raw))
		}
		t.turns = append(t.turns, turn)
	}
	return t
}

// geminiPart is a part of a content.
func geminiPart(raw gjson.Result) part {
	p := part{kind: partText, text: raw.Get("text").String(), signature: unbase64(raw.Get("thoughtSignature").String())}
	switch {
	case raw.Get("thought").Bool():
		p.kind = partThinking
	case raw.Get("functionCall").Exists():
		call := raw.Get("functionCall")
		p.kind, p.id, p.name, p.arguments = partCall, call.Get("id").String(), call.Get("name").String(), call.Get("args").Raw
	case raw.Get("functionResponse").Exists():
		result := raw.Get("functionResponse")
		p.kind, p.id, p.name = partResult, result.Get("id").String(), result.Get("name").String()
		p.text, p.failed = result.Get("response.output").String(), result.Get("response.error").Exists()
		if p.failed {
			p.text = result.Get("response.error").String()
		}
		p.image = result.Get("parts.0.inlineData.data").String()
	case raw.Get("inlineData").Exists():
		p.kind, p.mime, p.data = partImage, raw.Get("inlineData.mimeType").String(), raw.Get("inlineData.data").String()
		switch {
		case strings.HasPrefix(p.mime, "audio/"):
			p.kind = partAudio
		case !strings.HasPrefix(p.mime, "image/"):
			p.kind = partDocument
		}
	}
	return p
}

// unbase64 decodes base64; a text that is none stays as it is.
func unbase64(s string) string {
	if raw, err := base64.StdEncoding.DecodeString(s); err == nil {
		return string(raw)
	}
	return s
}

func (geminiSpeaker) answer(body string) (reply, error) {
	var out reply
	if err := out.takeGemini(gjson.Parse(body)); err != nil {
		return out, err
	}
	if out.stop == "" {
		return out, fmt.Errorf("there is no finishReason: %s", body)
	}
	return out, nil
}

// takeGemini takes an answer, or an event of a stream.
func (r *reply) takeGemini(doc gjson.Result) error {
	candidate := doc.Get("candidates.0")
	if !candidate.Exists() {
		return fmt.Errorf("there is no candidate: %s", doc.Raw)
	}
	var parts []string
	for _, raw := range candidate.Get("content.parts").Array() {
		parts = append(parts, raw.Raw)
		switch p := geminiPart(raw); p.kind {
		case partText:
			r.text += p.text
		case partThinking:
			r.thinking += p.text
		case partCall:
			r.calls = append(r.calls, p)
		}
	}
	r.history = turn{assistant: true, raw: `{"role":"model","parts":[` + strings.Join(parts, ",") + `]}`}
	for _, token := range candidate.Get("logprobsResult.chosenCandidates").Array() {
		r.weights = append(r.weights, token.Get("token").String()+token.Get("logProbability").Raw)
	}
	for _, page := range candidate.Get("groundingMetadata.groundingChunks.#.web").Array() {
		r.sources = append(r.sources, page.Get("uri").String()+" "+page.Get("title").String())
	}
	switch reason := candidate.Get("finishReason").String(); reason {
	case "":
	case "STOP":
		r.stop = stopEnd
		if len(r.calls) > 0 {
			r.stop = stopCalls
		}
	case "MAX_TOKENS":
		r.stop = stopLimit
	case "SAFETY":
		r.stop = stopFiltered
	default:
		return fmt.Errorf("the finishReason is %s", reason)
	}
	if u := doc.Get("usageMetadata"); u.Exists() {
		thoughts := int(u.Get("thoughtsTokenCount").Int())
		r.counted = true
		r.usage = provider.Usage{
			Prompt: int(u.Get("promptTokenCount").Int()), CacheRead: int(u.Get("cachedContentTokenCount").Int()),
			Output: int(u.Get("candidatesTokenCount").Int()) + thoughts, Reasoning: thoughts,
		}
	}
	return nil
}

func (geminiSpeaker) listen(body string) (reply, error) {
	events, err := splitEvents(body)
	if err != nil {
		return reply{}, err
	}
	var out reply
	for _, ev := range events {
		doc := gjson.Parse(ev.data)
		switch {
		case ev.name != "":
			return out, fmt.Errorf("an event of Gemini has the name %q", ev.name)
		case out.ended || out.failure != "":
			return out, fmt.Errorf("the stream goes on behind its end: %s", ev.data)
		case doc.Get("error").Exists():
			out.failure = doc.Get("error.message").String()
			continue
		}
		if err := out.takeGemini(doc); err != nil {
			return out, err
		}
		out.ended = out.stop != ""
	}
	return out, nil
}

func (geminiSpeaker) refused(body string) (refusal, error) {
	e := gjson.Get(body, "error")
	if !e.Get("code").Exists() || !e.Get("message").Exists() || !e.Get("status").Exists() {
		return refusal{}, fmt.Errorf("no error of Gemini: %s", body)
	}
	return refusal{kind: e.Get("status").String(), message: e.Get("message").String()}, nil
}
