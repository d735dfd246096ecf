package upstream

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// endpoint is where and how requests in one format are sent.
type endpoint struct {
	url           *url.URL
	whole, stream http.Header
}

func newEndpoint(f format.ID, u *url.URL, static http.Header) *endpoint {
	e := &endpoint{url: u}
	e.whole, e.stream = templates(f, static)
	return e
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
	if err := u.allowed.checkHost(base.Hostname()); err != nil {
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
