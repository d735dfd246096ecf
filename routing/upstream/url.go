package upstream

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// formatPaths is the usual path of each format.
var formatPaths = map[format.ID]string{
	format.OpenAIChat:        "/v1/chat/completions",
	format.OpenAIResponses:   "/v1/responses",
	format.AnthropicMessages: "/v1/messages",
	format.Gemini:            "/v1beta/models",
	format.OpenAICompletions: "/v1/completions",
	format.OpenAIEmbeddings:  "/v1/embeddings",
	format.OpenAIImages:      "/v1/images",
	format.OpenAIAudio:       "/v1/audio",
	format.GeminiEmbeddings:  "/v1beta/models",
	format.Rerank:            "/v1/rerank",
}

// operations are those that a format can serve.
var operations = map[format.ID][]format.Operation{
	format.OpenAIChat:        {format.OperationChat, format.OperationComplete},
	format.OpenAIResponses:   {format.OperationChat, format.OperationComplete, format.OperationCountTokens},
	format.AnthropicMessages: {format.OperationChat, format.OperationComplete, format.OperationCountTokens},
	format.Gemini:            {format.OperationChat, format.OperationComplete, format.OperationCountTokens},
	format.OpenAICompletions: {format.OperationComplete},
	format.OpenAIEmbeddings:  {format.OperationEmbed},
	format.GeminiEmbeddings:  {format.OperationEmbed},
	format.OpenAIImages:      {format.OperationImageGenerate, format.OperationImageEdit},
	format.OpenAIAudio:       {format.OperationAudioSpeech, format.OperationAudioTranscribe},
	format.Rerank:            {format.OperationRerank},
}

// Serves says whether an upstream of a format can serve an operation. Chat
// formats serve legacy completions by translation.
func Serves(f format.ID, op format.Operation) bool { return slices.Contains(operations[f], op) }

// KnownFormats lists the formats an upstream can speak, sorted.
func KnownFormats() []format.ID { return sortedKeys(formatPaths) }

func knownFormats() string { return joinIDs(KnownFormats()) }

// baseURL is where a service is: scheme, host, and the segments of its path as
// they were escaped.
type baseURL struct {
	*url.URL
	segments []string
}

// parseBase checks a base URL. Its errors do not repeat it: it might hold a
// password.
func parseBase(raw string) (*baseURL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var reason *url.Error
		if errors.As(err, &reason) && !strings.Contains(raw, "@") {
			return nil, fmt.Errorf("is not a URL: %w", reason.Err)
		}
		return nil, errors.New("is not a URL")
	}
	switch {
	case u.Scheme == "" || (u.Scheme != "http" && u.Scheme != "https" && u.Opaque != ""):
		return nil, errors.New("has no scheme; write http:// or https:// in front of it")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme %q is neither http nor https", u.Scheme)
	case u.User != nil:
		return nil, errors.New("must not hold a user name or password; use a credential")
	case u.Hostname() == "":
		return nil, errors.New("has no host")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("must not hold a query; a key belongs in a credential, and other parameters are not sent")
	case u.Fragment != "" || strings.HasSuffix(raw, "#"):
		return nil, errors.New("must not hold a fragment, which is never sent")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, errors.New("has a port outside 1-65535")
		}
	}
	b := &baseURL{URL: u, segments: segments(u.EscapedPath())}
	if err := checkSegments(b.segments); err != nil {
		return nil, err
	}
	return b, nil
}

// checkPath checks a configured path.
func checkPath(path string) error {
	switch {
	case strings.Contains(path, "://"):
		return errors.New("must be a path, not a URL; use format_urls for another host")
	case !strings.HasPrefix(path, "/"):
		return errors.New("must start with /")
	case strings.HasPrefix(path, "//"):
		return errors.New("must not start with //, which names another host")
	case strings.ContainsAny(path, "?#"):
		return errors.New("must not hold a query or fragment")
	case strings.ContainsAny(path, `\{}`):
		return errors.New(`must not hold a backslash or braces`)
	}
	u, err := url.Parse("http://host" + path)
	if err != nil || u.Host != "host" {
		return errors.New("is not a path")
	}
	found := segments(u.EscapedPath())
	if len(found) == 0 {
		return errors.New("must name more than /")
	}
	return checkSegments(found)
}

func checkSegments(all []string) error {
	for _, s := range all {
		if plain, err := url.PathUnescape(s); err != nil || plain == "." || plain == ".." {
			return errors.New("must not hold . or .. as a path segment")
		}
	}
	return nil
}

// joining says how a base URL and a path are joined.
type joining struct {
	// literal: the path was configured, so that nothing but the overlap is left
	// out of it.
	literal bool
	// pinned: the provider has the format under one version only.
	pinned bool
	// own: the host is the provider's own, so that its paths are known.
	own bool
}

// join appends the path to the base URL, so that all spellings of a service
// lead to the same address: what the end of the base and the start of the path
// have in common stands there once, a base that ends in another version keeps
// it, and a base that is the whole address is left as it is.
func join(base *baseURL, path string, how joining) *url.URL {
	joined := &url.URL{Scheme: base.Scheme, Host: base.Host}
	escaped := "/" + strings.Join(joinSegments(base.segments, segments(path), how), "/")
	plain, err := url.PathUnescape(escaped)
	if err != nil { // not possible: both sides were parsed
		plain = escaped
	}
	joined.Path, joined.RawPath = plain, escaped
	if (&url.URL{Path: plain}).EscapedPath() == escaped {
		joined.RawPath = ""
	}
	return joined
}

func joinSegments(base, path []string, how joining) []string {
	if how.literal {
		return slices.Concat(base, path[overlap(base, path):])
	}
	version := slices.IndexFunc(path, isVersion)
	rest := path[version+1:] // what follows the version; all of it without one
	if how.pinned && version >= 0 {
		base = withVersion(base, path[version])
	}
	tail := endpointOf(base)
	if hasSuffix(base, rest) && len(rest) >= tail {
		return base
	}
	base = base[:len(base)-tail]
	if n := overlap(base, path); n > 0 {
		return slices.Concat(base, path[n:])
	}
	if version < 0 || len(base) == 0 || !isVersion(base[len(base)-1]) {
		return slices.Concat(base, path)
	}
	// The base has a version of its own. If the provider's path has more in front
	// of the version, and this is the provider, then that is what was left out.
	if how.pinned || (how.own && version > 0) {
		return slices.Concat(base[:len(base)-1], path)
	}
	return slices.Concat(base, rest)
}

// overlap is the largest number of segments that end base and start path.
func overlap(base, path []string) int {
	for n := min(len(base), len(path)); n > 0; n-- {
		if hasSuffix(base, path[:n]) {
			return n
		}
	}
	return 0
}

// withVersion replaces the version segments of base.
func withVersion(base []string, version string) []string {
	out := slices.Clone(base)
	for i, s := range out {
		if isVersion(s) {
			out[i] = version
		}
	}
	return out
}

// endpointOf is how many segments at the end of base are the endpoint of a
// format, the longest that fits: the base is where that endpoint is. A format
// whose path has endpoints below it has none of its own.
func endpointOf(base []string) int {
	longest := 0
	for f, path := range formatPaths {
		if f == format.OpenAIImages || f == format.OpenAIAudio {
			continue
		}
		if tail := segments(path)[1:]; hasSuffix(base, tail) {
			longest = max(longest, len(tail))
		}
	}
	return longest
}

func hasSuffix(s, suffix []string) bool {
	return len(s) >= len(suffix) && slices.Equal(s[len(s)-len(suffix):], suffix)
}

var versionSegment = regexp.MustCompile(`^v[0-9]+(?:p[0-9]+)?(?:(?:alpha|beta|preview|rc)[0-9]*)?$`)

// isVersion says whether a path segment is a version such as v1, v1beta or
// v2preview3.
func isVersion(segment string) bool { return versionSegment.MatchString(segment) }

// segments splits a path and leaves out empty segments.
func segments(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" })
}

func joinIDs(ids []format.ID) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(id))
	}
	return b.String()
}

func sortedKeys[V any](m map[format.ID]V) []format.ID {
	return slices.Sorted(maps.Keys(m))
}
