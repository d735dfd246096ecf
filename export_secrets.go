package aigateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// standIn is a placeholder that an export has in the place of a secret.
type standIn struct {
	// name is that of the environment variable.
	name string
	// upstream, credential and field say which secret is meant; the credential is
	// named by its id.
	upstream, credential, field string
}

// declaration is what an export says, in the words of the config.
type declaration struct {
	upstreams map[string]*upstream.Upstream
	models    map[string]*routing.Model
	aliases   map[string]*routing.Alias
	standIns  []standIn
}

// exportJSON returns the definitions as they stand under apps/ai_gateway, and what
// stands in the places of their secrets.
func exportJSON(e exported) (json.RawMessage, []standIn, error) {
	d, err := declare(e)
	if err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(struct {
		Upstreams map[string]*upstream.Upstream `json:"upstreams,omitempty"`
		Models    map[string]*routing.Model     `json:"models,omitempty"`
		Aliases   map[string]*routing.Alias     `json:"aliases,omitempty"`
	}{d.upstreams, d.models, d.aliases})
	if err != nil {
		return nil, nil, fmt.Errorf("writing the definitions: %w", err)
	}
	return text, d.standIns, nil
}

// declare puts stand-ins in the places of secrets, and keeps texts that are no
// placeholders from being taken for some. An error names the definition.
func declare(e exported) (*declaration, error) {
	d := &declaration{}
	var err error
	if d.upstreams, err = decodeAll[upstream.Upstream]("upstream", e.Upstreams); err != nil {
		return nil, err
	}
	if d.models, err = decodeAll[routing.Model]("model", e.Models); err != nil {
		return nil, err
	}
	if d.aliases, err = decodeAll[routing.Alias]("alias", e.Aliases); err != nil {
		return nil, err
	}
	taken := placeholdersOf(e.Upstreams)
	for _, name := range slices.Sorted(maps.Keys(d.upstreams)) {
		u := d.upstreams[name]
		escapeBraces(u)
		for i, raw := range u.CredentialsRaw {
			var secrets []standIn
			if u.CredentialsRaw[i], secrets, err = withoutSecrets(raw, name, i, taken); err != nil {
				return nil, fmt.Errorf("upstream %q: credentials[%d]: %w", name, i, err)
			}
			d.standIns = append(d.standIns, secrets...)
		}
	}
	return d, nil
}

// decodeAll decodes the definitions of a kind.
func decodeAll[T any](kind string, specs map[string]json.RawMessage) (map[string]*T, error) {
	all := make(map[string]*T, len(specs))
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		if err := routing.CheckName(name); err != nil {
			return nil, fmt.Errorf("%s: name %q %w", kind, name, err)
		}
		all[name] = new(T)
		if err := routing.DecodeConfig(specs[name], all[name]); err != nil {
			return nil, fmt.Errorf("%s %q: %w", kind, name, err)
		}
	}
	return all, nil
}

// environment is a placeholder of an environment variable.
var environment = regexp.MustCompile(`\{env\.([^{}]+)\}`)

// placeholdersOf are the environment variables that definitions use already.
func placeholdersOf(specs map[string]json.RawMessage) map[string]bool {
	names := make(map[string]bool)
	for _, spec := range specs {
		for _, match := range environment.FindAllSubmatch(spec, -1) {
			names[string(match[1])] = true
		}
	}
	return names
}

// kept is a text that is a placeholder as a whole. It tells where a secret is, and
// is none.
var kept = regexp.MustCompile(`^\{(?:env|file)\.[^{}]+\}$`)

// withoutSecrets returns a credential with stand-ins for its secrets, whatever form
// these have, and adds their names to those that are taken.
func withoutSecrets(raw json.RawMessage, upstreamName string, position int, taken map[string]bool) (json.RawMessage, []standIn, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return nil, nil, errors.New("must be an object")
	}
	text := func(field string) (s string) {
		if json.Unmarshal(fields[field], &s) != nil {
			return ""
		}
		return s
	}
	id := text("id")
	if id == "" {
		id = strconv.Itoa(position + 1)
	}
	secrets := upstream.SecretFields(text("type"), slices.Sorted(maps.Keys(fields)))
	var all []standIn
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		value := fields[field]
		switch {
		case !slices.Contains(secrets, field):
			continue
		case !isSet(value):
			delete(fields, field)
			continue
		case kept.MatchString(text(field)):
			continue
		}
		s := standIn{name: freeName(upstreamName, id, taken), upstream: upstreamName, credential: id, field: field}
		all = append(all, s)
		fields[field] = json.RawMessage(`"{env.` + s.name + `}"`)
	}
	bare, err := json.Marshal(fields)
	return bare, all, err
}

// isSet says whether there is a secret: a mask may say that there is none.
func isSet(value json.RawMessage) bool {
	var mask struct {
		Set *bool `json:"set"`
	}
	if json.Unmarshal(value, &mask) == nil && mask.Set != nil {
		return *mask.Set
	}
	return string(value) != `""` && string(value) != "null"
}

// freeName is the name of the environment variable for a secret; it ends in a number
// if another one has the name.
func freeName(upstreamName, id string, taken map[string]bool) string {
	base := "AI_GATEWAY_" + variableWord(upstreamName) + "_" + variableWord(id)
	name := base
	for n := 2; taken[name]; n++ {
		name = base + "_" + strconv.Itoa(n)
	}
	taken[name] = true
	return name
}

// variableWord is a text in the letters that names of variables have.
func variableWord(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, text)
}

// resolvable is what the config replaces. Definitions that are managed cannot hold
// it, and all other braces in them mean themselves.
var resolvable = regexp.MustCompile(`\{(?:env|file|system|time)\.`)

var braceEscaper = strings.NewReplacer("{", `\{`, "}", `\}`)

// escapeBraces escapes the braces of an upstream where the config would take them
// for placeholders, which come out empty if they are not known.
func escapeBraces(u *upstream.Upstream) {
	escape := func(text string) string {
		if resolvable.MatchString(text) {
			return text
		}
		return braceEscaper.Replace(text)
	}
	u.BaseURL = escape(u.BaseURL)
	for f, address := range u.FormatURLs {
		u.FormatURLs[f] = escape(address)
	}
	escapeAll := func(headers map[string][]string) {
		for _, values := range headers {
			for i := range values {
				values[i] = escape(values[i])
			}
		}
	}
	escapeAll(u.Headers)
	if u.Health != nil {
		escapeAll(u.Health.Headers)
	}
}
