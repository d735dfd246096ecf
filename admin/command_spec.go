package admin

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// specFlag is a flag for a field of a definition.
type specFlag struct {
	name  string
	field string // in JSON
	kind  flagKind
	usage string
	// words are what shells offer. Default: nothing.
	words func() []string
}

// flagKind is what a flag takes, and how that is written.
type flagKind int

// The kinds of flags.
const (
	flagText flagKind = iota
	flagList
	flagNumber
	flagYes
	flagPolicy  // the name of a selection policy
	flagSources // UPSTREAM:MODEL[:FORMAT], each in a flag of its own
)

// specFlags are the flags of the common fields; a file has all of them.
var specFlagsOf = map[registry.Kind][]specFlag{
	registry.Upstreams: {
		{"provider", "provider", flagText, "The preset that fills in the rest, such as openai", upstream.Providers},
		{"url", "base_url", flagText, "The service's base URL", nil},
		{"formats", "formats", flagList, "The formats that it speaks, preferred first", knownFormats},
		{"tag", "tags", flagList, "Words to find it by", nil},
		{"retries", "retries", flagNumber, "How often one request may ask it again", nil},
		{"max-concurrency", "max_concurrency", flagNumber, "The most requests at the same time", nil},
		{"sync", "sync", flagText, "How often its catalogue is synced, such as 24h", nil},
		{"expose", "expose", flagYes, "Let clients ask for all models of its catalogue", nil},
		{"disabled", "disabled", flagYes, "Take it out of use", nil},
	},
	registry.Models: {
		{"source", "sources", flagSources, "A source as UPSTREAM:UPSTREAM_MODEL[:FORMAT]; in the order in which they are listed", nil},
		{"display-name", "display_name", flagText, "The name shown to people", nil},
		{"description", "description", flagText, "What it is for", nil},
		{"vendor", "vendor", flagText, "Who made it", nil},
		{"access", "access", flagText, "Who may ask for it: public or internal", func() []string { return []string{routing.AccessPublic, routing.AccessInternal} }},
		{"operations", "operations", flagList, "What it may be asked for, such as chat", routing.Operations},
		{"policy", "policy", flagPolicy, "How requests are shared between sources of one priority, such as round_robin", knownPolicies},
		{"order", "order", flagNumber, "Where lists show it: lower numbers first", nil},
		{"disabled", "disabled", flagYes, "Take it out of use", nil},
	},
	registry.Aliases: {
		{"model", "model", flagText, "The model that is meant", nil},
		{"pattern", "pattern", flagText, "A regular expression for the names that it stands for", nil},
		{"announce", "announce", flagList, "Names that lists show for it", nil},
		{"disabled", "disabled", flagYes, "Take it out of use", nil},
	},
}

// examplesOf are the examples of add.
var examplesOf = map[registry.Kind]string{
	registry.Upstreams: `  caddy ai upstream add openai --credential env:OPENAI_API_KEY
  caddy ai upstream add local --url http://127.0.0.1:11434 --provider ollama --tag lab
  pass show keys/acme | caddy ai upstream add acme --url https://api.acme.test/v1 --credential bearer:-`,
	registry.Models: `  caddy ai model add writer --source openai:gpt-4o --source anthropic:claude-sonnet-4-5
  caddy ai model add writer -f writer.json`,
	registry.Aliases: `  caddy ai alias add gpt-4 --model writer
  caddy ai alias add "gpt-*" --model writer`,
}

func knownFormats() []string {
	var names []string
	for _, f := range upstream.KnownFormats() {
		names = append(names, string(f))
	}
	return names
}

// knownPolicies lists the selection policies of this build.
func knownPolicies() []string {
	var names []string
	for _, info := range caddy.GetModules("ai_gateway.selection_policies") {
		names = append(names, info.ID.Name())
	}
	return names
}

// specFlags declares the flags of a kind.
func specFlags(cmd *cobra.Command, kind registry.Kind) {
	flags := cmd.Flags()
	flags.StringP("file", "f", "", "A file with the definition as JSON; - for standard input")
	for _, f := range specFlagsOf[kind] {
		switch f.kind {
		case flagText, flagPolicy:
			flags.String(f.name, "", f.usage)
		case flagList:
			flags.StringSlice(f.name, nil, f.usage+"; several with commas")
		case flagSources:
			flags.StringArray(f.name, nil, f.usage)
		case flagNumber:
			flags.Int(f.name, 0, f.usage)
		case flagYes:
			flags.Bool(f.name, false, f.usage)
		}
		if f.words != nil {
			complete(cmd, f.name, f.words()...)
		}
	}
	if kind == registry.Upstreams {
		flags.StringArray("credential", nil, "A credential as [TYPE:]env:NAME, [TYPE:]file:PATH or [TYPE:]-, with the type bearer, header:HEADER, query:PARAMETER or body:FIELD (default: that of the provider); several make a pool")
	}
}

// specOf makes the definition, or the merge patch of one, that a command's file and
// flags say.
func (s *session) specOf(cmd *cobra.Command, kind registry.Kind, name string, patch bool) (json.RawMessage, error) {
	if err := oneInput(cmd, kind); err != nil {
		return nil, err
	}
	file, err := s.readDocument(option(cmd, "file"))
	if err != nil {
		return nil, err
	}
	spec, err := specIn(file, kind, name)
	if err != nil {
		return nil, err
	}
	for _, f := range specFlagsOf[kind] {
		if !cmd.Flag(f.name).Changed {
			continue
		}
		value, err := f.value(cmd)
		switch {
		case err != nil:
			return nil, err
		case value == nil && !patch:
			delete(spec, f.field) // as if it were not there
		default:
			spec[f.field] = mustWrite(value)
		}
	}
	if kind == registry.Upstreams && cmd.Flag("credential").Changed {
		credentials, err := s.credentialsOf(cmd, name, spec, patch)
		if err != nil {
			return nil, err
		}
		spec["credentials"] = mustWrite(credentials)
	}
	if patch && len(spec) == 0 {
		return nil, misused("there is nothing to change: give a file or a flag; usage: %s", cmd.UseLine())
	}
	return mustWrite(spec), nil
}

// oneInput refuses to read several things from the standard input.
func oneInput(cmd *cobra.Command, kind registry.Kind) error {
	inputs := 0
	if option(cmd, "file") == "-" {
		inputs++
	}
	if kind == registry.Upstreams {
		words, err := cmd.Flags().GetStringArray("credential")
		if err != nil {
			return err
		}
		for _, word := range words {
			if word == "-" || strings.HasSuffix(word, ":-") {
				inputs++
			}
		}
	}
	if inputs > 1 {
		return misused("only one thing can be read from the standard input")
	}
	return nil
}

// specIn reads the definition in a file: alone, or as get has printed it.
func specIn(file json.RawMessage, kind registry.Kind, name string) (map[string]json.RawMessage, error) {
	spec := make(map[string]json.RawMessage)
	if file == nil {
		return spec, nil
	}
	if json.Unmarshal(file, &spec) != nil || spec == nil {
		return nil, misused("the file does not hold the definition of %s, which is an object", anyOne(kind))
	}
	inner, whole := spec["spec"]
	if !whole {
		return spec, nil
	}
	var own string
	if raw, ok := spec["name"]; ok && (json.Unmarshal(raw, &own) != nil || own != name) {
		return nil, misused("the file holds the %s %s, not %q", kind.One(), raw, name)
	}
	spec = make(map[string]json.RawMessage)
	if json.Unmarshal(inner, &spec) != nil || spec == nil {
		return nil, misused("the spec in the file is not an object")
	}
	return spec, nil
}

// value is what a flag says; nil for a text, a list or a choice that is empty, which
// removes the field.
func (f *specFlag) value(cmd *cobra.Command) (any, error) {
	flags := cmd.Flags()
	switch f.kind {
	case flagList:
		list, err := flags.GetStringSlice(f.name)
		if list = slices.DeleteFunc(list, func(s string) bool { return s == "" }); len(list) == 0 {
			return nil, err
		}
		return list, err
	case flagSources:
		words, err := flags.GetStringArray(f.name)
		if err != nil {
			return nil, err
		}
		return sourcesIn(words)
	case flagNumber:
		return flags.GetInt(f.name)
	case flagYes:
		if !given(cmd, f.name) {
			return nil, nil
		}
		return true, nil
	default:
		text := option(cmd, f.name)
		switch {
		case text == "":
			return nil, nil
		case f.kind == flagPolicy:
			return map[string]string{"policy": text}, nil
		}
		return text, nil
	}
}

// sourcesIn reads sources as their ids are written: the upstream ends at the first
// colon, and the last word is a format if it is the name of one.
func sourcesIn(words []string) (any, error) {
	var sources []routing.Source
	for _, word := range words {
		name, model, ok := strings.Cut(word, ":")
		if !ok || name == "" || model == "" {
			return nil, misused("--source takes UPSTREAM:UPSTREAM_MODEL[:FORMAT], not %q", word)
		}
		source := routing.Source{Upstream: name, Model: model}
		if i := strings.LastIndexByte(model, ':'); i > 0 && slices.Contains(knownFormats(), model[i+1:]) {
			source.Model, source.Format = model[:i], format.ID(model[i+1:])
		}
		sources = append(sources, source)
	}
	return sources, nil
}

// mustWrite writes what is made of texts, numbers and JSON that was read.
func mustWrite(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}
