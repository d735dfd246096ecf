package gemini

import (
	"fmt"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/schema"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// generation reads what shapes the answer.
func (d *requestDecoder) generation(config tape.Value) error {
	var mime, jsonSchema, ownSchema tape.Value
	err := at("generationConfig").members(config, func(word []byte, v tape.Value) error {
		switch string(word) {
		case "maxOutputTokens":
			// 0 is the default of protobuf: not set.
			if n, ok := v.Int(); !ok || n < 0 {
				return chat.MustBe("generationConfig.maxOutputTokens", "a whole number of at least 1")
			} else if n > 0 {
				d.r.MaxTokens = chat.Number(v.Raw())
			}
			return nil
		case "temperature":
			return number(&d.r.Temperature, word, v)
		case "topP":
			return number(&d.r.TopP, word, v)
		case "topK":
			return number(&d.r.TopK, word, v)
		case "frequencyPenalty":
			return number(&d.r.FrequencyPenalty, word, v)
		case "presencePenalty":
			return number(&d.r.PresencePenalty, word, v)
		case "seed":
			return number(&d.r.Seed, word, v)
		case "candidateCount":
			return number(&d.r.N, word, v)
		case "logprobs":
			return number(&d.r.TopLogprobs, word, v)
		case "responseLogprobs":
			if v.Kind() != tape.True && v.Kind() != tape.False {
				return chat.MustBe("generationConfig.responseLogprobs", "true or false")
			}
			d.r.Logprobs = chat.BoolOf(v.Bool())
			return nil
		case "stopSequences":
			return d.stop(v)
		case "thinkingConfig":
			return d.thinking(v)
		case "responseMimeType":
			mime = v
		case "responseJsonSchema":
			jsonSchema = v
		case "responseSchema":
			ownSchema = v
		case "responseModalities":
			if v.Len() == 1 && strings.EqualFold(string(v.Raw()), `["TEXT"]`) {
				return nil
			}
			d.extra("generationConfig.responseModalities", v)
		default:
			d.unknown("generationConfig.", config, word, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.output(mime, jsonSchema, ownSchema)
}

// number reads a field of generationConfig that is a number.
func number(into *chat.Number, word []byte, v tape.Value) error {
	if v.Kind() != tape.Number {
		return chat.MustBe("generationConfig."+string(word), "a number")
	}
	*into = chat.Number(v.Raw())
	return nil
}

// stop reads the stop sequences.
func (d *requestDecoder) stop(v tape.Value) error {
	const field = "generationConfig.stopSequences"
	if v.Kind() != tape.Array || v.Len() > maxStop {
		return chat.MustBe(field, fmt.Sprintf("an array of at most %d strings", maxStop))
	}
	for element := range v.Elements {
		if element.Kind() != tape.String {
			return chat.MustBe(field, "an array of strings")
		}
		d.r.Stop = append(d.r.Stop, element.Literal())
	}
	return nil
}

// thinking reads how much the model is to reason. That the client wants to see
// the thoughts, and nothing else, does not switch reasoning on.
func (d *requestDecoder) thinking(config tape.Value) error {
	const path = "generationConfig.thinkingConfig"
	r := &d.r.Reasoning
	return at(path).members(config, func(word []byte, v tape.Value) error {
		switch string(word) {
		case "includeThoughts":
			if v.Bool() {
				r.Summary = "summarized"
			}
		case "thinkingBudget":
			n, ok := v.Int()
			switch {
			case !ok || n < -1:
				return chat.MustBe(path+".thinkingBudget", "a whole number, or -1")
			case n == 0:
				r.State = chat.ReasoningOff
			default:
				r.State, r.Budget = chat.ReasoningOn, chat.Number(v.Raw())
			}
		case "thinkingLevel":
			switch level := strings.ToLower(v.Text()); level {
			case "minimal", "low", "medium", "high":
				r.State, r.Effort = chat.ReasoningOn, level
			case "thinking_level_unspecified":
			default:
				return chat.MustBe(path+".thinkingLevel", "MINIMAL, LOW, MEDIUM or HIGH")
			}
		default:
			d.unknown(path+".", config, word, v)
		}
		return nil
	})
}

// output reads the form of the answer's text.
func (d *requestDecoder) output(mime, jsonSchema, ownSchema tape.Value) error {
	switch {
	case mime.Exists() && mime.Kind() != tape.String:
		return chat.MustBe("generationConfig.responseMimeType", "a string")
	case mime.Is("application/json"), !mime.Exists() || mime.Is(""):
	case mime.Is("text/plain"):
		return nil
	default: // text/x.enum is one word without quotes: nothing like JSON.
		d.extra("generationConfig.responseMimeType", mime)
		if ownSchema.Exists() {
			d.extra("generationConfig.responseSchema", ownSchema)
		}
		return nil
	}
	out := &d.r.Output
	switch {
	case jsonSchema.Kind() == tape.Object:
		*out = chat.Output{Kind: chat.OutputJSONSchema, Schema: jsonSchema.Raw()}
	case jsonSchema.Exists():
		return chat.MustBe("generationConfig.responseJsonSchema", "an object")
	case ownSchema.Exists():
		converted, err := standard("generationConfig.responseSchema", ownSchema)
		if err != nil {
			return err
		}
		*out = chat.Output{Kind: chat.OutputJSONSchema, Schema: converted}
	case mime.Is("application/json"):
		out.Kind = chat.OutputJSONObject
	}
	return nil
}

// standard returns the JSON Schema of one of Gemini's.
func standard(path string, v tape.Value) (chat.Raw, error) {
	if v.Kind() != tape.Object {
		return nil, chat.MustBe(path, "an object")
	}
	out, err := schema.AppendJSON(nil, v)
	if err != nil {
		return nil, chat.Invalid(path, path+": "+err.Error())
	}
	return out, nil
}
