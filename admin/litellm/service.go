package litellm

import (
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// value is a text of the Caddyfile that may stand for another.
type value struct {
	// text is what the file says.
	text string
	// variable is the variable that it is read from; text is empty then.
	variable string
	// secret says that text must not be written: a stand-in is. What the stand-in is
	// called ends in purpose.
	secret  bool
	purpose string
	// shortened says that the file has more than text.
	shortened bool
	from      field
}

func (v value) empty() bool { return v.text == "" && v.variable == "" }

// key tells values apart.
func (v value) key() string { return fmt.Sprintf("%q %q", v.text, v.variable) }

// header is a header that is sent with every request.
type header struct {
	name  string
	value value
}

// service is how a provider is reached: what makes an upstream. Two entries with the
// same service share one.
type service struct {
	preset     string // "": told by its address
	address    value  // empty: the preset's
	credential value  // empty: none
	headers    []header
	timeout    float64 // seconds; 0: the default
	stream     float64 // seconds; 0: the default
	once       bool    // never repeats a request
	openFor    float64 // seconds; 0: that of all upstreams
	// parallel is how many requests may be under way, 0 for any number. LiteLLM
	// counts them for each deployment: model makes an upstream of its own for it.
	parallel float64
	model    string
}

// key tells services apart.
func (s *service) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n%g %g %t %g %g %q", s.preset, s.address.key(), s.credential.key(),
		s.timeout, s.stream, s.once, s.openFor, s.parallel, s.model)
	for _, h := range s.headers {
		fmt.Fprintf(&b, "\n%s %s", h.name, h.value.key())
	}
	return b.String()
}

// readAddress reads where a service is. It is false, and says why, if the gateway
// could not call it.
func readAddress(f field, azure bool) (v value, why string) {
	if name := f.variable(); name != "" {
		return value{variable: name, from: f}, ""
	}
	text := f.text()
	u, err := url.Parse(text)
	if err != nil || strings.ContainsAny(text, "{}\\") {
		return value{}, "api_base is no address"
	}
	if azure {
		// Azure's clients take the address of one deployment and a version; the
		// gateway makes both out of the request.
		if at := strings.Index(u.Path, "/openai"); at >= 0 {
			u.Path, u.RawPath = u.Path[:at], ""
		}
		if query := u.Query(); len(query) == 1 && query.Has("api-version") {
			u.RawQuery = ""
		}
		text = u.String()
	}
	v = value{text: text, shortened: text != f.text(), from: f}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		v.secret, v.purpose = true, "URL"
		return v, ""
	}
	if _, err := (&upstream.Upstream{BaseURL: text}).Check("address"); err != nil {
		return value{}, "api_base is no http or https address that the gateway calls (link-local ones need allow_addresses)"
	}
	if _, ok := quote(text); !ok {
		return value{}, "api_base holds characters that a Caddyfile cannot"
	}
	return v, ""
}

// isOpenAI says whether an address is OpenAI's own.
func (v value) isOpenAI() bool {
	u, err := url.Parse(v.text)
	return err == nil && strings.EqualFold(u.Hostname(), "api.openai.com")
}

// dummyKeys are what people write where a client demands a key and the server none.
var dummyKeys = []string{
	"none", "null", "no-key", "nokey", "not-needed", "not-required", "na", "n/a", "empty", "dummy", "fake", "fake-key",
	"fake-api-key", "anything", "sk-no-key-required", "no-key-required", "unused", "ollama", "lm-studio", "sk-fake", "sk-dummy",
}

// isDummyKey says whether a key is none, for a server of one's own.
func isDummyKey(text string) bool { return slices.Contains(dummyKeys, strings.ToLower(text)) }

// readKey reads a secret: from a variable, or with a stand-in in its place.
func readKey(f field, purpose string) value {
	if name := f.variable(); name != "" {
		return value{variable: name, from: f}
	}
	return value{text: f.text(), secret: true, purpose: purpose, from: f}
}

// openHeaders are headers whose values are nobody's secret. Of all others the value
// is not written.
var openHeaders = []string{
	"Anthropic-Beta", "Anthropic-Version", "Http-Referer", "Openai-Beta", "Openai-Organization", "Openai-Project",
	"Referer", "User-Agent", "X-Title",
}

// readHeader reads a header. It is false, and says why, for one that the gateway
// does not send.
func readHeader(name string, f field) (h header, why string) {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	test := upstream.Upstream{BaseURL: "http://localhost", Headers: http.Header{name: {"x"}}}
	if _, err := test.Check("header"); err != nil {
		switch canonical {
		case "Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "X-Auth-Token", "Cookie":
			return header{}, "the header carries a key: write credential header " + canonical + " {env.NAME} in the upstream"
		}
		return header{}, "the gateway sets this header itself, or never sends it"
	}
	text, variable := f.text(), f.variable()
	switch {
	case variable != "":
		return header{canonical, value{variable: variable, from: f}}, ""
	case text == "":
		return header{}, "the header has no text for a value"
	case slices.Contains(openHeaders, canonical) && httpguts.ValidHeaderFieldValue(text) && !strings.ContainsAny(text, "{}"):
		if _, ok := quote(text); ok {
			return header{canonical, value{text: text, from: f}}, ""
		}
	}
	return header{canonical, value{text: text, secret: true, purpose: canonical, from: f}}, ""
}
