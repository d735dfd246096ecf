package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// list answers GET /<kind>: a page of the definitions that the query asks for.
//
//	q          part of the name, the address or another text of the definition
//	status     active, disabled, circuit_open, unusable, shadowed, broken
//	origin     declared or managed
//	provider, format, tag          of upstreams
//	upstream, vendor, access       of models
//	model                          of aliases
//	sort       name (default), order (of models), created, updated, status;
//	           with a minus in front from the end
//	page, page_size
func (a *API) list(kind registry.Kind) endpoint {
	return func(g Gateway, w http.ResponseWriter, r *http.Request) error {
		v, err := g.View()
		if err != nil {
			return err
		}
		f, err := filterOf(r, kind)
		if err != nil {
			return err
		}
		all := f.choose(newLook(g, v), v.List(kind))
		page, err := pageOf(r, all)
		if err != nil {
			return err
		}
		shown := Page[Definition]{Items: make([]Definition, len(page.Items)), Total: page.Total, Page: page.Page, PageSize: page.PageSize}
		for i := range page.Items {
			shown.Items[i] = definitionOf(page.Items[i].Definition)
			shown.Items[i].Status = page.Items[i].status(f.look)
		}
		a.answer(w, http.StatusOK, shown)
		return nil
	}
}

// row is a definition in a list; what is observed of it is looked up when it is
// first needed.
type row struct {
	*registry.Definition
	observed any
	fields   map[string]json.RawMessage
}

func (x *row) status(l *look) any {
	if x.observed == nil {
		shown := l.show(x.Definition)
		x.observed = shown.Status
	}
	return x.observed
}

// text is a field of the definition that holds a text.
func (x *row) text(field string) string {
	var s string
	if json.Unmarshal(x.field(field), &s) != nil {
		return ""
	}
	return s
}

// texts is a field that holds a list of texts.
func (x *row) texts(field string) []string {
	var list []string
	if json.Unmarshal(x.field(field), &list) != nil {
		return nil
	}
	return list
}

func (x *row) field(name string) json.RawMessage {
	if x.fields == nil {
		x.fields = make(map[string]json.RawMessage)
		if json.Unmarshal(x.Spec(), &x.fields) != nil {
			return nil
		}
	}
	return x.fields[name]
}

// filter is what a list is to hold, and in which order.
type filter struct {
	kind  registry.Kind
	query string
	plain bool // query is written in JSON as it is
	state string
	from  registry.Origin
	words map[string]string // of the filters by field
	sort  string
	down  bool
	look  *look
}

// wordFilters are the filters by the field of a definition, for each kind.
var wordFilters = map[registry.Kind][]string{
	registry.Upstreams: {"provider", "format", "tag"},
	registry.Models:    {"upstream", "vendor", "access"},
	registry.Aliases:   {"model"},
}

// sorts are what lists can be sorted by.
var sorts = map[registry.Kind][]string{
	registry.Upstreams: {"name", "created", "updated", "status"},
	registry.Models:    {"name", "order", "created", "updated", "status"},
	registry.Aliases:   {"name", "created", "updated", "status"},
}

// filterOf reads the query of a list.
func filterOf(r *http.Request, kind registry.Kind) (*filter, error) {
	query := r.URL.Query()
	f := &filter{kind: kind, query: strings.ToLower(query.Get("q")), words: make(map[string]string)}
	f.plain = !strings.ContainsFunc(f.query, func(c rune) bool { return c < ' ' || c > '~' || strings.ContainsRune(`"\\<>&`, c) })
	var err error
	if f.state, err = checkState(r); err != nil {
		return nil, err
	}
	if f.from, err = origin(r); err != nil {
		return nil, err
	}
	for _, name := range wordFilters[kind] {
		if word := query.Get(name); word != "" {
			f.words[name] = word
		}
	}
	f.sort = cmp.Or(query.Get("sort"), "name")
	f.sort, f.down = strings.CutPrefix(f.sort, "-")
	if !slices.Contains(sorts[kind], f.sort) {
		return nil, invalid("sort", "unknown; known are "+strings.Join(sorts[kind], ", ")+", with a minus in front to begin at the end")
	}
	return f, nil
}

// choose lists what passes the filter, sorted.
func (f *filter) choose(l *look, all []registry.Definition) []*row {
	f.look = l
	var chosen []*row
	for i := range all {
		x := &row{Definition: &all[i]}
		if f.passes(x) {
			chosen = append(chosen, x)
		}
	}
	switch {
	case f.sort == "name" && !f.down: // they are
	case f.sort == "name":
		slices.Reverse(chosen)
	default:
		slices.SortStableFunc(chosen, func(a, b *row) int {
			order := f.compare(a, b)
			if f.down {
				return -order
			}
			return order
		})
	}
	return chosen
}

func (f *filter) passes(x *row) bool {
	if f.from != "" && x.Origin != f.from {
		return false
	}
	if f.query != "" && !f.mentions(x) {
		return false
	}
	for name, word := range f.words {
		if !f.has(x, name, word) {
			return false
		}
	}
	return f.state == "" || f.look.state(x.Definition, x.status(f.look)) == f.state
}

// mentions says whether the text that is looked for stands in the definition.
func (f *filter) mentions(x *row) bool {
	if !strings.Contains(strings.ToLower(x.Name), f.query) && f.plain && !bytes.Contains(bytes.ToLower(x.Spec()), []byte(f.query)) {
		return false // not even somewhere else in it
	}
	texts := append([]string{
		x.Name, x.text("base_url"), x.text("provider"), x.text("display_name"),
		x.text("description"), x.text("vendor"), x.text("model"), x.text("pattern"),
	}, append(x.texts("tags"), x.texts("announce")...)...)
	for _, s := range x.sources() {
		texts = append(texts, s.Upstream, s.Model)
	}
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), f.query) })
}

// sourceName is what a list must know of a source.
type sourceName struct {
	Upstream string `json:"upstream"`
	Model    string `json:"model"`
}

func (x *row) sources() []sourceName {
	var list []sourceName
	if json.Unmarshal(x.field("sources"), &list) != nil {
		return nil
	}
	return list
}

// has says whether a definition has a word where a filter looks for it.
func (f *filter) has(x *row, field, word string) bool {
	switch field {
	case "tag":
		return slices.Contains(x.texts("tags"), word)
	case "format":
		return slices.Contains(f.formats(x), word)
	case "upstream":
		return slices.ContainsFunc(x.sources(), func(s sourceName) bool { return s.Upstream == word })
	case "provider":
		return cmp.Or(x.text("provider"), x.Name) == word
	case "vendor":
		return x.vendor() == word
	case "access":
		return cmp.Or(x.text("access"), "public") == word
	default:
		return x.text(field) == word
	}
}

// vendor is who made a model, by its definition or its names.
func (x *row) vendor() string {
	m := routing.Model{Vendor: x.text("vendor")}
	for _, s := range x.sources() {
		m.Sources = append(m.Sources, routing.Source{Model: s.Model})
	}
	return m.VendorOf(x.Name)
}

// formats are those that an upstream speaks, as far as it is in use, and otherwise
// those of its definition.
func (f *filter) formats(x *row) []string {
	status, ok := x.status(f.look).(UpstreamStatus)
	if !ok || status.Formats == nil {
		return x.texts("formats")
	}
	names := make([]string, len(status.Formats))
	for i, id := range status.Formats {
		names[i] = string(id)
	}
	return names
}

// compare sorts by what the query says, and equals by name.
func (f *filter) compare(a, b *row) int {
	by := 0
	switch f.sort {
	case "created":
		by = a.Created.Compare(b.Created)
	case "updated":
		by = a.Updated.Compare(b.Updated)
	case "order":
		by = cmp.Compare(a.number("order"), b.number("order"))
	case "status":
		by = cmp.Compare(f.look.state(a.Definition, a.status(f.look)), f.look.state(b.Definition, b.status(f.look)))
	}
	return cmp.Or(by, cmp.Compare(a.Name, b.Name), cmp.Compare(a.Origin, b.Origin))
}

func (x *row) number(field string) int {
	var n int
	if json.Unmarshal(x.field(field), &n) != nil {
		return 0
	}
	return n
}
