// Package upstream is the connection to one provider or compatible service: its
// addresses, credentials, headers, time limits and transport. It sends what it is
// given and checks whether the service works; it holds the settings of circuits
// and retries, but knows nothing of their state, nor of models.
package upstream

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// Upstream is a connection to one provider or compatible service.
//
// Global placeholders such as `{env.NAME}` and `{file.PATH}` are accepted in
// base_url, format_urls, headers and credentials, and resolved once, when the
// configuration is loaded. An upstream whose address or credential comes out
// empty loads all the same; it is not used until it is configured.
//
// A provisioned Upstream does not change and is safe for concurrent use.
type Upstream struct {
	// The provider whose address, formats and kind of credential are filled in
	// where this upstream does not set its own. Default: the upstream's name, if
	// that is the name of a provider; otherwise none.
	Provider string `json:"provider,omitempty"`

	// Where the service is, with or without its version segment: `https://host`,
	// `https://host/v1`, `https://host/prefix/v1/` and even
	// `https://host/v1/chat/completions` are the same service. Default: the
	// provider's; required without a provider.
	BaseURL string `json:"base_url,omitempty"`

	// The formats the service speaks, preferred first. Default: the provider's;
	// `openai_chat` and `openai_embeddings` without a provider.
	Formats []format.ID `json:"formats,omitempty"`

	// A base URL per format, where it differs from base_url. Default: none.
	FormatURLs map[format.ID]string `json:"format_urls,omitempty"`

	// A path per format, below the base URL, where it differs from the usual one.
	// Default: the provider's, or the format's own path.
	FormatPaths map[format.ID]string `json:"format_paths,omitempty"`

	// The secrets that are sent with the requests, one with each. Several share the
	// requests by weight, and each fails on its own. Beside the fields of its type
	// each has
	//
	//   id      its name; default: its position, counted from 1
	//   weight  its share, 0 to 1000; with 0 it is used only when no other is
	//           left; default: 1
	//
	// Those that come out empty are skipped. Default: none.
	CredentialsRaw []json.RawMessage `json:"credentials,omitempty" caddy:"namespace=ai_gateway.credentials inline_key=type"`

	// Headers sent with every request. A value that comes out empty is not sent.
	// Headers that belong to the connection, to the gateway or to the credential
	// are refused. Default: none.
	Headers http.Header `json:"headers,omitempty"`

	// How the service is reached: one of Caddy's reverse proxy transports, such
	// as `{"protocol": "http", …}`. What it leaves out has the gateway's own
	// defaults. Default: `http`.
	TransportRaw json.RawMessage `json:"transport,omitempty" caddy:"namespace=http.reverse_proxy.transport inline_key=protocol"`

	// Addresses and networks that may be called although they are link-local, a
	// cloud's metadata, unspecified or multicast, such as `169.254.10.0/24`. The
	// addresses that are dialled are checked each time, whatever name led to them.
	// Default: none.
	AllowAddresses []string `json:"allow_addresses,omitempty"`

	// Lets a client's own key take the place of the credential. Default: false: what
	// clients present is never sent on.
	AllowOverride bool `json:"allow_override,omitempty"`

	// Time limits. Default: see each of them.
	Timeouts Timeouts `json:"timeouts,omitzero"`

	// How often one request may ask a source of this upstream again that has just
	// failed, if no other is left: 0 or 1, for no request repeats a source more often.
	// A repeat on a new connection, because the old one was closed while it was idle,
	// does not count. Default: 1.
	Retries *int `json:"retries,omitempty"`

	// How many requests may be under way at once; further ones go to other sources.
	// Default: 0, which is no limit.
	MaxConcurrency int `json:"max_concurrency,omitempty"`

	// When the circuits of this upstream open, and for how long; what it leaves out
	// is taken from the app's. Default: the app's.
	Circuit *CircuitPolicy `json:"circuit,omitempty"`

	// Calls of our own that find out whether the service works, so that it is left
	// alone before requests fail, and used again before one has to try. Default:
	// none are made.
	Health *Health `json:"health,omitempty"`

	// Ways in which the service differs from its formats, added to those that are
	// known of the provider; "-" in front of a name takes one away:
	//
	//   max_tokens_only         knows max_tokens, but not max_completion_tokens
	//   no_stream_options       refuses stream_options
	//   no_developer_role       knows the role system, but not developer
	//   reasoning_content_back  wants the reasoning_content of earlier turns back
	//   reasoning_details_back  wants the reasoning_details of earlier turns back
	//   gemini_schemas          knows Gemini's own schemas, but not JSON Schema
	//   cache_marks             takes prompt_cache_breakpoint
	//
	// Default: none.
	Quirks []string `json:"quirks,omitempty"`

	// How often the service is asked for its models, from 1s to 30 days; it is varied
	// by a tenth, and longer after failures. Default: 0: only when somebody asks.
	Sync caddy.Duration `json:"sync,omitempty"`

	// Lets clients ask for the models of the catalogue by the names that the service
	// has for them, where no model and no alias has that name. Default: false:
	// nothing becomes public by a sync alone.
	Expose bool `json:"expose,omitempty"`

	// Words to find the upstream by, at most 32, of 1 to 64 printable characters each.
	// They have no effect on requests. Default: none.
	Tags []string `json:"tags,omitempty"`

	// Takes the upstream out of use. Default: false.
	Disabled bool `json:"disabled,omitempty"`

	name      string
	quirks    quirks
	formats   []format.ID
	endpoints map[format.ID]*endpoint
	pool      []pooled
	transport http.RoundTripper
	scrubber  *scrubber // nil: no secrets
	allowed   allowList
	identity  string
	health    *checks // nil: none
	observed  *Observed
	state     *HealthState
	// keyHeader is the header in which the provider wants the key; "" for a bearer
	// token, or without a provider.
	keyHeader   string
	hasProvider bool
	// keyInBody says that one of the credentials stands in the body.
	keyInBody bool
	// connect and handshake are the limits for making a connection and for the TLS
	// handshake; 0 for a transport that has no such limits.
	connect, handshake time.Duration
	// missing says what comes out empty, if anything does.
	missing string
}

// Provision checks the upstream and makes it ready for use under its name. An
// error names the field it is about.
func (u *Upstream) Provision(ctx caddy.Context, name string) error {
	known, secrets, err := u.prepare(name)
	if err != nil {
		return err
	}
	own, err := u.loadCredentials(ctx)
	if err != nil {
		return err
	}
	if err := u.checkOverride(); err != nil {
		return err
	}
	u.scrubber = newScrubber(append(secrets, own...))
	u.identity = u.identify()
	u.Adopt(new(Observed))
	return u.loadTransport(ctx, known)
}

// Check finds what is wrong with an upstream of that name without making it
// ready for use: all but what its guest modules say. It returns the formats that
// it will speak. Configuration adapters call it where they still know the line.
func (u *Upstream) Check(name string) ([]format.ID, error) {
	unused := *u
	_, _, err := unused.prepare(name)
	return unused.formats, err
}

// prepare settles everything that needs no guest module. It returns the preset,
// if there is one, and the secrets in the headers.
func (u *Upstream) prepare(name string) (known *preset, secrets []string, err error) {
	u.name = name
	if known, err = u.preset(); err != nil {
		return nil, nil, err
	}
	if known != nil {
		u.hasProvider, u.keyHeader = true, known.header
	}
	if err := u.Timeouts.check(); err != nil {
		return nil, nil, err
	}
	if err := u.checkNumbers(); err != nil {
		return nil, nil, err
	}
	if err := u.checkSync(); err != nil {
		return nil, nil, err
	}
	if err := checkTags(u.Tags); err != nil {
		return nil, nil, err
	}
	if err := u.Circuit.Validate(); err != nil {
		return nil, nil, fmt.Errorf("circuit.%w", err)
	}
	if _, _, err := commonOf(u.CredentialsRaw); err != nil {
		return nil, nil, err
	}
	if u.allowed, err = parseAllowList(u.AllowAddresses); err != nil {
		return nil, nil, err
	}
	if err := u.chooseFormats(known); err != nil {
		return nil, nil, err
	}
	repl := caddy.NewReplacer()
	headers, secrets, err := resolveHeaders(repl, "headers", u.Headers)
	if err != nil {
		return nil, nil, err
	}
	if err := u.buildEndpoints(repl, known, headers); err != nil {
		return nil, nil, err
	}
	own, err := u.prepareHealth(repl)
	return known, append(secrets, own...), err
}

// Cleanup closes idle connections. Requests that still run are not touched, and
// a value that was never provisioned is fine.
func (u *Upstream) Cleanup() error {
	if u != nil {
		closeIdle(u.transport)
	}
	return nil
}

// Name is the name the upstream was provisioned under.
func (u *Upstream) Name() string { return u.name }

// Unavailable says why the upstream cannot be used: "disabled", or "not
// configured: " and the placeholder that comes out empty. It is "" if the
// upstream can be used.
func (u *Upstream) Unavailable() string {
	switch {
	case u.Disabled:
		return "disabled"
	case u.missing != "":
		return "not configured: " + u.missing
	default:
		return ""
	}
}

// Speaks says whether the upstream speaks a format.
func (u *Upstream) Speaks(f format.ID) bool { return slices.Contains(u.formats, f) }

// Spoken lists the formats the upstream speaks, preferred first. The caller
// must not change it.
func (u *Upstream) Spoken() []format.ID { return u.formats }

// FormatFor chooses the format for a request: the client's own if the upstream
// speaks it, otherwise the first that serves the operation. It is false if the
// upstream does not serve the operation.
func (u *Upstream) FormatFor(client format.ID, op format.Operation) (format.ID, bool) {
	if Serves(client, op) && u.Speaks(client) {
		return client, true
	}
	for _, f := range u.formats {
		if Serves(f, op) {
			return f, true
		}
	}
	return "", false
}

// Target tells an encoder what it must know of this upstream and of a model that
// it serves.
func (u *Upstream) Target(model string) chat.Target {
	target := chat.Target{
		Model:            model,
		LegacyMaxTokens:  u.quirks.legacyMaxTokens,
		NoStreamOptions:  u.quirks.noStreamOptions,
		ReasoningContent: u.quirks.reasoningBack,
		ReasoningDetails: u.quirks.detailsBack,
		OwnSchemas:       u.quirks.ownSchemas,
		CacheMarks:       u.quirks.cacheMarks,
		Can:              capability.Of(model),
	}
	if u.quirks.noDeveloperRole {
		target.Can.DeveloperRole = false
		target.Can.ChatTools = capability.ChatToolsFree // OpenAI's own rule
	}
	if e, ok := u.endpoints[format.AnthropicMessages]; ok {
		target.AnthropicVersion = e.whole.Get(anthropicVersion)
	}
	return target
}

// preset finds the provider's preset; nil if there is none.
func (u *Upstream) preset() (*preset, error) {
	if u.Provider != "" {
		known, ok := findPreset(u.Provider)
		if !ok {
			return nil, fmt.Errorf("provider: unknown provider %q; known: %s", u.Provider, strings.Join(Providers(), ", "))
		}
		return known, nil
	}
	if known, ok := findPreset(u.name); ok {
		return known, nil
	}
	// The built-in upstream needs no more than its transport.
	if protocol, err := protocolOf(u.TransportRaw); err == nil && protocol == demoProtocol {
		known, _ := findPreset("demo")
		return known, nil
	}
	return nil, nil
}
