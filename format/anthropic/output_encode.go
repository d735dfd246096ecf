package anthropic

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// outputForm is how the request asks for the form of the answer's text.
type outputForm uint8

const (
	outputFree outputForm = iota
	// outputSchema is the format's own way.
	outputSchema
	// outputTool is a tool whose input is the answer, for models that lack the
	// format's own way.
	outputTool
	// outputWords asks for it in words.
	outputWords
)

// output is what was decided about the form of the answer's text.
type output struct {
	form outputForm
	tool chat.Literal // the name of the tool that stands for it
}

// Sentences that ask for JSON.
const (
	jsonSentence   = "Answer with one JSON object and nothing else: no other text, no code fence."
	schemaSentence = jsonSentence + " The object must match this JSON Schema: "
)

// settleOutput decides how the form of the answer's text is asked for.
func (e *requestEncoder) settleOutput() {
	out := &e.r.Output
	switch {
	case out.Kind == chat.OutputText:
		e.output.form = outputFree
		return
	case out.Kind == chat.OutputJSONObject || out.Schema == nil:
		e.output.form = outputWords
		e.sentences = append(e.sentences, jsonSentence)
	case !e.to.Can.NoStructuredOutput:
		e.output.form = outputSchema
		return
	case e.outputFitsTool():
		e.output = output{form: outputTool, tool: outputName(out)}
	default:
		e.output.form = outputWords
		e.sentences = append(e.sentences, schemaSentence+string(out.Schema))
	}
	e.report.Approximate("response_format")
}

// outputFitsTool says that a tool can stand for the answer: the model can be
// forced to call it and nothing else, and the call can be turned back into text.
func (e *requestEncoder) outputFitsTool() bool {
	can := &e.to.Can
	return !e.choice.any && !e.hasTools && !e.thinking.thinks() && !can.ThinksByDefault &&
		can.ForcedTool != capability.ForcedRefused && isObjectSchema(e.r.Output.Schema) &&
		e.to.Names.SetOutputTool(outputName(&e.r.Output).String())
}

// isObjectSchema says that a schema is of an object, as that of an input must be.
func isObjectSchema(schema chat.Raw) bool {
	t := tape.Take()
	defer t.Release()
	return t.Parse(schema) == nil && t.Root().Kind() == tape.Object && t.Root().Get("type").Is("object")
}

// outputName is the name of the tool that stands for the answer.
func outputName(out *chat.Output) chat.Literal {
	if out.Name.Blank() {
		return chat.Literal(`"response"`)
	}
	return toolName(out.Name)
}

// outputTool writes the tool that stands for the answer.
func (e *requestEncoder) outputTool() {
	out := &e.r.Output
	e.b.Str(`{"name":`)
	e.b.Raw(e.output.tool)
	if out.Description.Empty() {
		e.b.Str(`,"description":"Gives the answer. Its input is the whole answer."`)
	} else {
		e.raw("description", out.Description)
	}
	e.field("input_schema")
	e.inputSchema(out.Schema)
	e.b.Byte('}')
}

// outputConfig writes the effort and the form of the answer's text.
func (e *requestEncoder) outputConfig() {
	out := &e.r.Output
	schema, effort := e.output.form == outputSchema, e.thinking.effort
	if !schema && effort == "" {
		return
	}
	e.field("output_config")
	separator := `{`
	if effort != "" {
		e.b.Str(`{"effort":"` + effort + `"`)
		separator = `,`
	}
	if schema {
		e.b.Str(separator)
		e.b.Str(`"format":{"type":"json_schema","schema":`)
		e.outputSchema(out.Schema)
		e.b.Byte('}')
		if !out.Description.Empty() {
			e.drop("response_format.json_schema.description")
		}
	}
	e.b.Byte('}')
}
