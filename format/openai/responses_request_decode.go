package openai

import (
	"fmt"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Responses is the codec of the Responses format. The zero value is ready for
// use, also concurrently.
type Responses struct{}

// originResponses is how the neutral form names the Responses format.
const originResponses = string(format.OpenAIResponses)

// Members of the field include with a meaning.
const (
	includeLogprobs  = "message.output_text.logprobs"
	includeReasoning = "reasoning.encrypted_content"
)

// DecodeRequest implements format.RequestCodec.
func (Responses) DecodeRequest(doc tape.Value) (*chat.Request, error) {
	if doc.Kind() != tape.Object {
		return nil, chat.Invalid("", "the request body must be a JSON object")
	}
	d := responsesDecoder{requestDecoder: requestDecoder{messageDecoder: messageDecoder{
		r:    &chat.Request{Format: originResponses, IncludeUsage: true},
		list: "input",
	}}}
	if err := d.request(doc); err != nil {
		return nil, err
	}
	return d.r, nil
}

// responsesDecoder reads one request.
type responsesDecoder struct {
	requestDecoder
	series       series // which items the open turn takes
	part         string // the member whose parts are being read, for errors
	instructions tape.Value
}

// responsesField is a field of the request with a neutral meaning.
type responsesField struct {
	number uint // in requestDecoder.seen
	read   func(d *responsesDecoder, field string, v tape.Value) error
}

// responsesFields are the fields with a neutral meaning, by name.
var responsesFields = func() map[string]responsesField {
	fields := map[string]responsesField{}
	for name, read := range map[string]func(*responsesDecoder, string, tape.Value) error{
		"model":                shared((*requestDecoder).model),
		"input":                (*responsesDecoder).input,
		"instructions":         (*responsesDecoder).setInstructions,
		"stream":               shared(truth(func(d *requestDecoder, b chat.Bool) { d.r.Stream = b == chat.True })),
		"tools":                (*responsesDecoder).tools,
		"tool_choice":          (*responsesDecoder).toolChoice,
		"parallel_tool_calls":  shared(truth(func(d *requestDecoder, b chat.Bool) { d.r.ParallelTools = b })),
		"max_output_tokens":    shared((*requestDecoder).limit),
		"temperature":          shared(number(func(d *requestDecoder) *chat.Number { return &d.r.Temperature })),
		"top_p":                shared(number(func(d *requestDecoder) *chat.Number { return &d.r.TopP })),
		"top_logprobs":         shared(number(func(d *requestDecoder) *chat.Number { return &d.r.TopLogprobs })),
		"include":              (*responsesDecoder).include,
		"reasoning":            (*responsesDecoder).reasoning,
		"text":                 (*responsesDecoder).text,
		"metadata":             shared(object(func(d *requestDecoder) *chat.Raw { return &d.r.Metadata })),
		"safety_identifier":    shared(text(func(d *requestDecoder) *chat.Literal { return &d.r.User })),
		"user":                 shared(later(func(d *requestDecoder) *tape.Value { return &d.user })),
		"service_tier":         shared(text(func(d *requestDecoder) *chat.Literal { return &d.r.ServiceTier })),
		"store":                shared(truth(func(d *requestDecoder, b chat.Bool) { d.r.Store = b })),
		"previous_response_id": (*responsesDecoder).stateful,
		"conversation":         (*responsesDecoder).stateful,
		"background":           (*responsesDecoder).stateful,
		"prompt":               (*responsesDecoder).stateful,
	} {
		fields[name] = responsesField{number: uint(len(fields)), read: read}
	}
	return fields
}()

// shared makes a reader of Chat's fields one of this format's.
func shared(read func(*requestDecoder, string, tape.Value) error) func(*responsesDecoder, string, tape.Value) error {
	return func(d *responsesDecoder, field string, v tape.Value) error {
		return read(&d.requestDecoder, field, v)
	}
}

// echoed are the fields that answers repeat.
var echoed = map[string]bool{
	"instructions": true, "max_output_tokens": true, "max_tool_calls": true, "metadata": true,
	"parallel_tool_calls": true, "prompt_cache_key": true, "prompt_cache_retention": true, "reasoning": true,
	"safety_identifier": true, "service_tier": true, "store": true, "temperature": true, "text": true,
	"tool_choice": true, "tools": true, "top_logprobs": true, "top_p": true, "truncation": true, "user": true,
}

// request reads all fields.
func (d *responsesDecoder) request(doc tape.Value) error {
	for key, value := range doc.Members {
		field, known := responsesFields[string(name(key))]
		if known {
			if d.seen&(1<<field.number) != 0 {
				return chat.Invalid(key.Text(), "the field "+key.Text()+" stands twice in the request")
			}
			d.seen |= 1 << field.number
		}
		if !present(value) {
			continue
		}
		if echoed[string(name(key))] {
			d.r.Echo = append(d.r.Echo, chat.Field{Name: key.Text(), Value: value.Raw()})
		}
		if !known {
			d.extra(key.Text(), value)
			continue
		}
		if err := field.read(d, key.Text(), value); err != nil {
			return err
		}
	}
	return d.settle()
}

// settle reads the fields that yield to others, and checks what must be there.
func (d *responsesDecoder) settle() error {
	if d.instructions.Exists() {
		d.r.System = append([]chat.Block{{Kind: chat.Text, Text: d.instructions.Literal()}}, d.r.System...)
	}
	if d.r.Turns == nil && d.r.System == nil {
		return chat.Invalid("input", "the field input must be a string or an array with at least one item")
	}
	switch n, ok := d.r.TopLogprobs.Int(); {
	case d.r.Logprobs == chat.True:
	case ok && n == 0:
		d.r.TopLogprobs = nil
	case d.r.TopLogprobs != nil:
		d.r.Logprobs = chat.True
	}
	if d.user.Exists() && d.r.User == nil {
		if d.user.Kind() != tape.String {
			return mustBe("user", "a string")
		}
		d.r.User = d.user.Literal()
	}
	return nil
}

// setInstructions keeps the instructions, which stand before those in the input.
func (d *responsesDecoder) setInstructions(field string, v tape.Value) error {
	if v.Kind() != tape.String {
		return mustBe(field, "a string")
	}
	d.instructions = v
	return nil
}

// stateful refuses what only the upstream that knows the earlier answers, or the
// stored template, can serve.
func (d *responsesDecoder) stateful(field string, v tape.Value) error {
	if v.Kind() == tape.False {
		return nil
	}
	return chat.Invalid(field, "the field "+field+" works only with a model whose upstream speaks OpenAI's Responses format; "+
		"leave it out and send the whole conversation as input, or use another model")
}

// include reads what the answer is to hold besides the usual.
func (d *responsesDecoder) include(field string, v tape.Value) error {
	if v.Kind() != tape.Array {
		return mustBe(field, "an array of strings")
	}
	for element := range v.Elements {
		switch {
		case element.Is(includeReasoning):
		case element.Is(includeLogprobs):
			d.r.Logprobs = chat.True
		default:
			d.extraOnce(field, v)
		}
	}
	return nil
}

// reasoning reads how much the model is to reason and what it shows of it.
func (d *responsesDecoder) reasoning(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return mustBe(field, "an object")
	}
	for key, value := range v.Members {
		if !present(value) {
			continue
		}
		switch member := string(name(key)); member {
		case "effort":
			if err := d.effort("reasoning.effort", value); err != nil {
				return err
			}
		case "summary", "generate_summary":
			if value.Kind() != tape.String {
				return mustBe("reasoning."+member, "auto, concise or detailed")
			}
			d.r.Reasoning.Summary = value.Text()
		default:
			d.extraOnce("reasoning."+member, value)
		}
	}
	return nil
}

// text reads the form of the answer's text.
func (d *responsesDecoder) text(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return mustBe(field, "an object")
	}
	for key, value := range v.Members {
		switch {
		case !present(value):
		case key.Is("verbosity") && value.Kind() == tape.String:
			d.r.Verbosity = value.Literal()
		case key.Is("verbosity"):
			return mustBe("text.verbosity", "low, medium or high")
		case key.Is("format"):
			if err := d.format(value); err != nil {
				return err
			}
		default:
			d.extraOnce("text."+key.Text(), value)
		}
	}
	return nil
}

// format reads text.format.
func (d *responsesDecoder) format(v tape.Value) error {
	switch kind := v.Get("type"); {
	case kind.Is("text"):
		return nil
	case kind.Is("json_object"):
		d.r.Output.Kind = chat.OutputJSONObject
		return nil
	case kind.Is("json_schema"):
		return d.jsonSchema("text.format", v)
	default:
		return mustBe("text.format.type", "text, json_object or json_schema")
	}
}

// tools reads the tools. Those of a namespace become tools of their own.
func (d *responsesDecoder) tools(field string, v tape.Value) error {
	if v.Kind() != tape.Array {
		return mustBe(field, "an array")
	}
	d.r.Tools = make([]chat.Tool, 0, min(v.Len(), maxTools))
	number := 0
	for element := range v.Elements {
		at := place{field, number, ""}
		number++
		if element.Kind() != tape.Object {
			return at.mustBe("", "an object")
		}
		if !member(element, "type").Is("namespace") {
			if err := d.tool(at, element, nil); err != nil {
				return err
			}
			continue
		}
		namespace := member(element, "name").Literal()
		if namespace.Empty() {
			return at.mustBe(".name", "a string with the name of the namespace")
		}
		at.below = ".tools[]"
		for inner := range member(element, "tools").Elements {
			if err := d.tool(at, inner, namespace); err != nil {
				return err
			}
		}
	}
	return nil
}

// anyText describes the argument of a tool that takes any text, for formats that
// know functions only.
var anyText = chat.Raw(`{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}`)

// plainText is the text that a tool takes if its definition does not say.
var plainText = chat.Raw(`{"type":"text"}`)

// tool reads a tool of any type.
func (d *responsesDecoder) tool(at place, v tape.Value, namespace chat.Literal) error {
	if len(d.r.Tools) == maxTools {
		return chat.Invalid(at.list, fmt.Sprintf("a request has at most %d tools", maxTools))
	}
	var tool chat.Tool
	switch kind := member(v, "type"); {
	case v.Kind() != tape.Object:
		return at.mustBe("", "an object")
	case kind.Is("function"), kind.Is("custom"):
		var err error
		if tool, err = decodeFunction(at, v); err != nil {
			return err
		}
		if kind.Is("custom") {
			d.custom(&tool, member(v, "format"))
		} else if tool.Strict == chat.Unset && fitsStrict(member(v, "parameters")) {
			tool.Strict = chat.True
		}
	case kind.Kind() != tape.String:
		return at.mustBe(".type", `"function" or another type of tool`)
	default:
		tool = chat.Tool{Name: member(v, "name").Literal(), Type: format.Bounded(kind.Text(), 64), Raw: v.Raw()}
	}
	if namespace != nil {
		tool.Namespace, tool.Name = namespace, inNamespace(namespace, tool.Name)
	}
	d.r.Tools = append(d.r.Tools, tool)
	return nil
}

// custom reads which text a tool takes. A grammar is lost on other formats.
func (d *responsesDecoder) custom(tool *chat.Tool, format tape.Value) {
	tool.Schema, tool.Strict, tool.Custom = anyText, chat.Unset, plainText
	if format.Kind() != tape.Object {
		return
	}
	tool.Custom = format.Raw()
	if !member(format, "type").Is("text") {
		d.extraOnce("tools[].format", format)
	}
}

// inNamespace is the name of a tool outside of its namespace.
func inNamespace(namespace, name chat.Literal) chat.Literal {
	const between = "__"
	joined := make(chat.Literal, 0, len(namespace)+len(between)+len(name))
	joined = append(joined, '"')
	joined = append(joined, namespace.Inner()...)
	joined = append(joined, between...)
	joined = append(joined, name.Inner()...)
	return append(joined, '"')
}

// nameIn is the name of a called, chosen or allowed tool.
func nameIn(v tape.Value) chat.Literal {
	name, namespace := member(v, "name").Literal(), member(v, "namespace").Literal()
	if name.Empty() || namespace.Empty() {
		return name
	}
	return inNamespace(namespace, name)
}

// fitsStrict says that a schema satisfies the rules of strict functions: objects
// list all their properties as required and take no others. OpenAI then makes a
// function strict unless it is told not to.
func fitsStrict(schema tape.Value) bool {
	if !present(schema) || schema.Kind() != tape.Object {
		return false
	}
	properties, kind := member(schema, "properties"), member(schema, "type")
	if properties.Exists() || kind.Is("object") {
		if member(schema, "additionalProperties").Kind() != tape.False {
			return false
		}
		required := member(schema, "required")
		if required.Len() != properties.Len() {
			return false
		}
		for element := range required.Elements {
			if !properties.Get(element.Text()).Exists() {
				return false
			}
		}
	}
	for _, group := range []string{"properties", "$defs", "definitions"} {
		for _, inner := range member(schema, group).Members {
			if !fitsStrict(inner) {
				return false
			}
		}
	}
	for inner := range member(schema, "anyOf").Elements {
		if !fitsStrict(inner) {
			return false
		}
	}
	for _, refused := range []string{"allOf", "oneOf", "not", "if", "patternProperties"} {
		if schema.Get(refused).Exists() {
			return false
		}
	}
	items := member(schema, "items")
	return !items.Exists() || fitsStrict(items)
}

// toolChoice reads whether tools may or must be called.
func (d *responsesDecoder) toolChoice(field string, v tape.Value) error {
	if v.Kind() == tape.String {
		return d.requestDecoder.toolChoice(field, v)
	}
	switch kind := member(v, "type"); {
	case kind.Is("function"), kind.Is("custom"):
		name := nameIn(v)
		if name.Empty() {
			return mustBe("tool_choice.name", "the name of a tool")
		}
		d.r.ToolChoice = chat.ToolChoice{Mode: chat.ToolNamed, Names: []chat.Literal{name}}
		return nil
	case kind.Is("allowed_tools"):
		return d.allowedTools(v)
	case kind.Kind() == tape.String:
		// One of the tools that the upstream itself runs.
		d.extra(field, v)
		return nil
	default:
		return mustBe("tool_choice.type", "function, custom, allowed_tools or another type of tool")
	}
}

// allowedTools permits some of the tools. Those without a name have no neutral
// meaning.
func (d *responsesDecoder) allowedTools(v tape.Value) error {
	choice := chat.ToolChoice{Mode: chat.ToolAllowed}
	switch mode := member(v, "mode"); {
	case mode.Is("required"):
		choice.Required = true
	case mode.Is("auto"), !mode.Exists():
	default:
		return mustBe("tool_choice.mode", "auto or required")
	}
	tools := member(v, "tools")
	if tools.Kind() != tape.Array || tools.Len() == 0 {
		return mustBe("tool_choice.tools", "an array of tools")
	}
	if tools.Len() > maxTools {
		return chat.Invalid("tool_choice.tools", fmt.Sprintf("at most %d tools can be allowed", maxTools))
	}
	for element := range tools.Elements {
		if name := nameIn(element); !name.Empty() {
			choice.Names = append(choice.Names, name)
			continue
		}
		d.extraOnce("tool_choice.tools", tools)
	}
	if choice.Names != nil {
		d.r.ToolChoice = choice
	}
	return nil
}
