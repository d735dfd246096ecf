// Package upstream is the connection to one provider or compatible service: its
// addresses, credential, headers, time limits and transport. It sends what it
// is given and knows nothing of models, circuits or retries.
package upstream

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

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

	// The secret that is sent with each request; at most one for now.
	// Default: none.
	CredentialsRaw []json.RawMessage `json:"credentials,omitempty" caddy:"namespace=ai_gateway.credentials inline_key=type"`

	// Headers sent with every request. A value that comes out empty is not sent.
	// Headers that belong to the connection, to the gateway or to the credential
	// are refused. Default: none.
	Headers http.Header `json:"headers,omitempty"`

	// How the service is reached: one of Caddy's reverse proxy transports, such
	// as `{"protocol": "http", …}`. What it leaves out has the gateway's own
	// defaults. Default: `http`.
	TransportRaw json.RawMessage `json:"transport,omitempty" caddy:"namespace=http.reverse_proxy.transport inline_key=protocol"`

	// Time limits. Default: see each of them.
	Timeouts Timeouts `json:"timeouts,omitzero"`

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

	// Takes the upstream out of use. Default: false.
	Disabled bool `json:"disabled,omitempty"`

	name       string
	quirks     quirks
	formats    []format.ID
	endpoints  map[format.ID]*endpoint
	credential Credential
	transport  http.RoundTripper
	scrubber   *strings.Replacer
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
	own, err := u.loadCredential(ctx)
	if err != nil {
		return err
	}
	u.scrubber = newScrubber(append(secrets, own...))
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
	if err := u.Timeouts.check(); err != nil {
		return nil, nil, err
	}
	if err := u.chooseFormats(known); err != nil {
		return nil, nil, err
	}
	repl := caddy.NewReplacer()
	headers, secrets, err := u.resolveHeaders(repl)
	if err != nil {
		return nil, nil, err
	}
	return known, secrets, u.buildEndpoints(repl, known, headers)
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

// chooseFormats settles which formats the upstream speaks.
func (u *Upstream) chooseFormats(known *preset) error {
	for i, f := range u.Formats {
		if _, ok := formatPaths[f]; !ok {
			return fmt.Errorf("formats[%d]: unknown format %q; known: %s", i, f, knownFormats())
		}
		if first := slices.Index(u.Formats, f); first != i {
			return fmt.Errorf("formats[%d]: %s stands twice, first as formats[%d]", i, f, first)
		}
	}
	switch {
	case len(u.Formats) > 0:
		u.formats = slices.Clone(u.Formats)
	case known != nil:
		u.formats = known.formats()
	default:
		u.formats = []format.ID{format.OpenAIChat}
		if u.BaseURL != "" || u.FormatURLs[format.OpenAIEmbeddings] != "" {
			u.formats = append(u.formats, format.OpenAIEmbeddings)
		}
	}
	for _, f := range sortedKeys(u.FormatURLs) {
		if !u.Speaks(f) {
			return fmt.Errorf("format_urls.%s: the upstream does not speak this format; it speaks %s", f, joinIDs(u.formats))
		}
	}
	for _, f := range sortedKeys(u.FormatPaths) {
		if !u.Speaks(f) {
			return fmt.Errorf("format_paths.%s: the upstream does not speak this format; it speaks %s", f, joinIDs(u.formats))
		}
	}
	return nil
}

// buildEndpoints settles the address and the headers of each format.
func (u *Upstream) buildEndpoints(repl *caddy.Replacer, known *preset, headers http.Header) error {
	u.endpoints = make(map[format.ID]*endpoint, len(u.formats))
	for _, f := range u.formats {
		base, err := u.base(repl, known, f)
		if err != nil {
			return err
		}
		path, literal := known.path(f), false
		if own, ok := u.FormatPaths[f]; ok {
			if err := checkPath(own); err != nil {
				return fmt.Errorf("format_paths.%s: %w", f, err)
			}
			path, literal = own, true
		}
		if base == nil {
			continue // not configured; the rest is checked all the same
		}
		if len(u.endpoints) == 0 {
			u.quirks = quirksOf(known, base.Hostname())
			if err := u.quirks.apply(u.Quirks); err != nil {
				return err
			}
		}
		u.endpoints[f] = newEndpoint(f, join(base, path, joining{
			literal: literal,
			pinned:  known != nil && known.quirks.pinnedVersion,
			own:     known != nil && known.isHost(base.Hostname()),
		}), headers)
	}
	return nil
}

// base is the base URL for a format; nil if it comes out empty.
func (u *Upstream) base(repl *caddy.Replacer, known *preset, f format.ID) (*baseURL, error) {
	field, raw := "format_urls."+string(f), u.FormatURLs[f]
	if raw == "" {
		field, raw = "base_url", u.BaseURL
	}
	if raw == "" && known != nil {
		raw = known.url
	}
	if raw == "" {
		if known != nil {
			return nil, fmt.Errorf("base_url: required, for provider %s has no address of its own", known.name)
		}
		return nil, fmt.Errorf("base_url: required, for upstream %q has no provider; known providers: %s", u.name, strings.Join(Providers(), ", "))
	}
	value, err := resolve(repl, raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	if value.missing != "" {
		u.lacks(field + " " + value.missing + " is empty")
		return nil, nil
	}
	base, err := parseBase(value.text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return base, nil
}

// lacks notes that something comes out empty. The first is told.
func (u *Upstream) lacks(what string) {
	if u.missing == "" {
		u.missing = what
	}
}
