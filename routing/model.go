package routing

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// Model is what clients ask for by name.
type Model struct {
	// The name shown to people. Default: the model's name.
	DisplayName string `json:"display_name,omitempty"`
	// What the model is for, as shown to people; at most 10,000 bytes. Default: none.
	Description string `json:"description,omitempty"`
	// Who made the model, as shown to clients. Default: none.
	Vendor string `json:"vendor,omitempty"`
	// Who may ask for the model: `public` is everybody, `internal` only those for whom
	// it is named, such as the sites whose list of models names it; for all others it
	// does not exist. Default: public.
	Access string `json:"access,omitempty"`
	// Where lists show the model: lower numbers come first, equal ones by name.
	// Default: 0.
	Order int `json:"order,omitempty"`
	// What the model may be asked for: `chat` (and counting its tokens), `complete`,
	// `embed`, `image_generate`, `image_edit`, `audio_speech`, `audio_transcribe`,
	// `rerank`. Default: all that its sources can do.
	Operations []format.Operation `json:"operations,omitempty"`
	// What happens to a request that cannot be expressed in an upstream's format
	// without changing what it means: `drop` leaves out what has no place there and
	// says so, `error` answers with 400. Default: that of the handler.
	OnUnsupported string `json:"on_unsupported,omitempty"`
	// Tools that the upstream's provider runs itself and that requests may use
	// across formats: `web_search`, `code_execution`, `url_fetch`. Within one
	// format they always may. Default: none.
	NativeTools []string `json:"native_tools,omitempty"`
	// What the upstream models can do, where the built-in table is wrong or silent:
	// see package capability for the keys. Default: the built-in table.
	Capability map[string]string `json:"capability,omitempty"`
	// How requests are shared between the sources of one priority:
	//
	//   weighted              at random, by weight
	//   round_robin           by turns
	//   weighted_round_robin  by turns, as often as the weight says, evenly spread
	//   least_conn            the fewest requests under way for its weight
	//   random                at random, whatever the weights
	//   ip_hash               the same source for the same client address
	//   header_hash           the same source for the same value of `header`
	//   lowest_latency        the source whose first content comes soonest
	//   first                 the first in the list
	//
	// Default: `{"policy":"weighted"}`.
	PolicyRaw json.RawMessage `json:"policy,omitempty" caddy:"namespace=ai_gateway.selection_policies inline_key=policy"`
	// Which sources are used: `balanced` uses all of them by priority and policy,
	// `pinned` the active one and no other. Default: balanced.
	Mode string `json:"mode,omitempty"`
	// The source that a pinned model uses, as <upstream>:<upstream model>[:<format>].
	// Required if mode is pinned, and kept without effect if it is balanced.
	// Default: none.
	Active string `json:"active,omitempty"`
	// A header whose value keeps requests at one source, as long as that can take
	// them. A request without the header is kept by what its conversation is known
	// by: X-Session-Affinity, Session-Id or prompt_cache_key; one without any of
	// these follows the policy. Default: none.
	StickyHeader string `json:"sticky_header,omitempty"`
	// Takes a complete answer without any content for a failure, so that the next
	// source is tried. Default: false.
	RetryOnEmpty bool `json:"retry_on_empty,omitempty"`
	// Takes the model out of use: clients see it as unknown. Default: false.
	Disabled bool `json:"disabled,omitempty"`
	// The ways to serve the model; at least one. Default: none.
	Sources []Source `json:"sources,omitempty"`

	selector Selector // nil: weighted
	noSource bool     // may be without a source
}

// The values of access.
const (
	AccessPublic   = "public"
	AccessInternal = "internal"
)

// The values of mode.
const (
	ModeBalanced = "balanced"
	ModePinned   = "pinned"
)

// Provision loads the selection policy. It is called once, before a snapshot is
// made of the model. An error names the field it is about.
func (m *Model) Provision(ctx caddy.Context) error { return m.loadPolicy(ctx) }

// AllowNoSource lets the model be without a source: it is being set up, and unknown
// to clients until it has one. It is called before a snapshot is made of it.
func (m *Model) AllowNoSource() { m.noSource = true }

// The longest name and the longest description, in bytes.
const (
	maxName        = 256
	maxDescription = 10_000
)

// maxWeight is the largest weight.
const maxWeight = 1000

// MaxContextWindow is the largest context window that a source may declare, in
// tokens.
const MaxContextWindow = 1_000_000_000

// CheckName refuses names that cannot be used in logs, headers and requests.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("must not be empty")
	case len(name) > maxName:
		return fmt.Errorf("must not be longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		return errors.New("is not UTF-8")
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return errors.New("must not hold control characters")
		}
	}
	return nil
}

// check refuses a model that cannot be served. Errors start with the field's
// path below the model.
func (m *Model) check(upstreams map[string]*connection) error {
	if len(m.Sources) == 0 && !m.noSource {
		return errors.New(".sources: a model needs at least one source")
	}
	if err := m.checkFields(); err != nil {
		return err
	}
	if err := m.checkChoice(); err != nil {
		return err
	}
	for i := range m.Sources {
		if err := m.Sources[i].check(upstreams); err != nil {
			return fmt.Errorf(".sources[%d]%w", i, err)
		}
		same := func(s Source) bool { return s.ID() == m.Sources[i].ID() }
		if first := slices.IndexFunc(m.Sources, same); first != i {
			return fmt.Errorf(".sources[%d]: source %s stands twice, first as sources[%d]", i, m.Sources[i].ID(), first)
		}
	}
	return nil
}

// CheckAlone refuses fields that can be judged by themselves: without the model's
// other fields, the upstreams and the policy. An error begins with the field's name.
// Configuration adapters call it where they still know the line.
func (m *Model) CheckAlone() error {
	if err := m.checkFields(); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "."))
	}
	return nil
}

// checkFields is CheckAlone; errors start with the field's path below the model.
func (m *Model) checkFields() error {
	if err := m.checkUse(); err != nil {
		return err
	}
	if err := CheckOnUnsupported(m.OnUnsupported); err != nil {
		return fmt.Errorf(".on_unsupported: %w", err)
	}
	if m.StickyHeader != "" {
		if err := checkHeaderName(m.StickyHeader); err != nil {
			return fmt.Errorf(".sticky_header: %w", err)
		}
	}
	switch m.Mode {
	case "", ModeBalanced, ModePinned:
	default:
		return fmt.Errorf(".mode: must be balanced or pinned, not %q", m.Mode)
	}
	if _, err := m.serverTools(); err != nil {
		return err
	}
	return m.override(new(capability.Model))
}

// checkUse refuses fields that say what the model is for and cannot be followed.
func (m *Model) checkUse() error {
	if len(m.Description) > maxDescription {
		return fmt.Errorf(".description: must not be longer than %d bytes", maxDescription)
	}
	switch m.Access {
	case "", AccessPublic, AccessInternal:
	default:
		return fmt.Errorf(".access: must be public or internal, not %q", m.Access)
	}
	for i, op := range m.Operations {
		if !slices.Contains(operations, op) {
			return fmt.Errorf(".operations[%d]: unknown operation %q; known: %s", i, op, strings.Join(Operations(), ", "))
		}
		if slices.Contains(m.Operations[:i], op) {
			return fmt.Errorf(".operations[%d]: %s stands twice", i, op)
		}
	}
	return nil
}

// serves says whether the model may be asked for an operation.
func (m *Model) serves(op format.Operation) bool {
	if len(m.Operations) == 0 || slices.Contains(m.Operations, op) {
		return true
	}
	return op == format.OperationCountTokens && slices.Contains(m.Operations, format.OperationChat)
}

// checkChoice refuses fields that say how a source is chosen and cannot be
// followed.
func (m *Model) checkChoice() error {
	if m.PolicyRaw != nil && m.selector == nil {
		if _, err := normalPolicy(m.PolicyRaw); err != nil {
			return fmt.Errorf(".policy: %w", err)
		}
		return errors.New(".policy: was not loaded") // the model was never provisioned
	}
	switch {
	case m.Active == "" && m.Mode != ModePinned:
		return nil
	case m.Active == "":
		return fmt.Errorf(".active: required, for the mode is pinned; one of %s", m.sourceIDs())
	case !slices.ContainsFunc(m.Sources, func(s Source) bool { return s.ID() == m.Active }):
		return fmt.Errorf(".active: the model has no source %q; it has %s", m.Active, m.sourceIDs())
	}
	return nil
}

// sourceIDs lists the sources for an error.
func (m *Model) sourceIDs() string {
	ids := make([]string, len(m.Sources))
	for i := range m.Sources {
		ids[i] = m.Sources[i].ID()
	}
	return strings.Join(ids, ", ")
}

// uses says whether the model's mode lets a source be used.
func (m *Model) uses(s *Source) bool { return m.Mode != ModePinned || s.ID() == m.Active }

// stickyHeader is the header that keeps requests at one source, in the usual
// form; "" if there is none.
func (m *Model) stickyHeader() string { return http.CanonicalHeaderKey(m.StickyHeader) }

// The values of on_unsupported.
const (
	UnsupportedDrop  = "drop"
	UnsupportedError = "error"
)

// CheckOnUnsupported refuses what is no value of on_unsupported.
func CheckOnUnsupported(value string) error {
	switch value {
	case "", UnsupportedDrop, UnsupportedError:
		return nil
	default:
		return fmt.Errorf("must be drop or error, not %q", value)
	}
}

// nativeTools are the tools that native_tools can name.
var nativeTools = map[string]chat.ServerTool{
	"web_search":     chat.ServerWebSearch,
	"code_execution": chat.ServerCodeExecution,
	"url_fetch":      chat.ServerURLFetch,
}

// NativeTools lists the tools that native_tools can name, sorted.
func NativeTools() []string { return sortedNames(nativeTools) }

// serverTools is the set of the model's native tools.
func (m *Model) serverTools() (chat.ServerToolSet, error) {
	var set chat.ServerToolSet
	for i, name := range m.NativeTools {
		tool, ok := nativeTools[name]
		if !ok {
			return 0, fmt.Errorf(".native_tools[%d]: unknown tool %q; known: %s", i, name, strings.Join(NativeTools(), ", "))
		}
		set.Add(tool)
	}
	return set, nil
}

// override sets what the model's definition says about its upstream models.
func (m *Model) override(can *capability.Model) error {
	for _, key := range sortedNames(m.Capability) {
		if err := can.Set(key, m.Capability[key]); err != nil {
			return fmt.Errorf(".capability: %w", err)
		}
	}
	return nil
}
