package aigateway

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// credentialNamespace is where credentials are registered.
const credentialNamespace = "ai_gateway.credentials."

// credentialLine is one credential of an upstream's block.
type credentialLine struct {
	// raw is its module, or value is a key whose kind the preset or the formats decide.
	raw   json.RawMessage
	value string
	// id and weight end the line; they are optional.
	id     string
	weight *int
}

// credential parses a credential, with or without its kind; it may end in
// "weight <n>" and "id <name>". No error repeats a value: it may be a secret.
func (p *upstreamParser) credential() error {
	if !p.NextArg() {
		return p.Errf("credential needs a value, such as: credential {env.API_KEY}")
	}
	tokens, err := p.endOf(p.NextSegment())
	if err != nil {
		return err
	}
	kind := tokens[0].Text
	_, err = caddy.GetModule(credentialNamespace + kind)
	switch {
	case err == nil:
		err = p.credentialOf(kind, tokens)
	case len(tokens) == 1:
		p.line().value = kind
		return nil
	case !kindShaped.MatchString(kind):
		return p.Errf("unrecognized kind of credential; known are %s", strings.Join(guestNames(credentialNamespace), ", "))
	default:
		return unknown(p.Dispenser, "credential", kind, guestNames(credentialNamespace)...)
	}
	return err
}

// kindShaped is a word that may be a misspelt kind and is hardly a key.
var kindShaped = regexp.MustCompile(`^[a-z][a-z_]{1,15}$`)

// line is the credential that is being parsed.
func (p *upstreamParser) line() *credentialLine { return &p.credentials[len(p.credentials)-1] }

// credentialOf parses a credential of a kind.
func (p *upstreamParser) credentialOf(kind string, tokens []caddyfile.Token) error {
	own := caddyfile.NewDispenser(tokens)
	own.Next()
	module, err := caddyfile.UnmarshalModule(own, credentialNamespace+kind)
	if err != nil {
		return err
	}
	p.line().raw = caddyconfig.JSONModuleObject(module, "type", kind, nil)
	return nil
}

// endOf begins a credential, takes the words that all kinds have off the end of
// its first line, and returns the rest, which is at least one token.
func (p *upstreamParser) endOf(tokens caddyfile.Segment) ([]caddyfile.Token, error) {
	p.credentials = append(p.credentials, credentialLine{})
	line, block := tokens, caddyfile.Segment(nil)
	for i, token := range tokens {
		if i > 0 && token.Text == "{" && !token.Quoted() {
			line, block = tokens[:i:i], tokens[i:]
			break
		}
	}
	for least := fewestTokens(line[0].Text); len(line)-2 >= least; line = line[:len(line)-2] {
		word, value := line[len(line)-2].Text, line[len(line)-1].Text
		known, err := p.common(word, value)
		if err != nil {
			return nil, err
		}
		if !known {
			break
		}
	}
	return append(line[:len(line):len(line)], block...), nil
}

// fewestTokens is how many tokens a credential of a kind has at least, its kind
// included: a header may be called id.
func fewestTokens(kind string) int {
	switch kind {
	case "header", "query", "body":
		return 3
	}
	if _, err := caddy.GetModule(credentialNamespace + kind); err == nil {
		return 2
	}
	return 1
}

// common takes in a word that all kinds have; known is false for any other.
func (p *upstreamParser) common(word, value string) (known bool, err error) {
	line := p.line()
	switch {
	case word == "weight" && line.weight == nil:
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > 1000 {
			return true, p.Errf("weight takes a number from 0 to 1000")
		}
		line.weight = &n
		return true, nil
	case word == "id" && line.id == "":
		line.id = value
		return true, nil
	case word == "weight" || word == "id":
		return true, p.Errf("%s stands twice in this credential", word)
	default:
		return false, nil
	}
}

// json makes the credential's JSON for an upstream of a preset, or else of formats.
func (c *credentialLine) json(preset string, formats ...format.ID) (json.RawMessage, error) {
	raw := c.raw
	if raw == nil {
		raw = upstream.PresetCredential(preset, c.value, formats...)
	}
	if c.id == "" && c.weight == nil {
		return raw, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	if c.id != "" {
		fields["id"] = c.id
	}
	if c.weight != nil {
		fields["weight"] = *c.weight
	}
	return json.Marshal(fields)
}

// guestNames lists the modules of a namespace, which ends in a dot.
func guestNames(namespace string) []string {
	var names []string
	for _, info := range caddy.GetModules(strings.TrimSuffix(namespace, ".")) {
		names = append(names, info.ID.Name())
	}
	return names
}
