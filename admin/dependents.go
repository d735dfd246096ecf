package admin

import (
	"net/http"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// dependent is a source at an upstream, and what it means to its model.
type dependent struct {
	// Model that has the source.
	Model string `json:"model"`
	// Origin of the model: declared or managed.
	Origin registry.Origin `json:"origin"`
	Source Source          `json:"source"`
	// WouldBeUnavailable says that the model has no other source that can be used now.
	WouldBeUnavailable bool `json:"would_be_unavailable"`
}

// dependents answers GET /upstreams/{name}/sources: who depends on the upstream,
// and what would be left without a source.
func (a *API) dependents(g Gateway, w http.ResponseWriter, r *http.Request) error {
	v, err := g.View()
	if err != nil {
		return err
	}
	id := nameOf(r, registry.Upstreams)
	if _, ok := v.Get(id, ""); !ok {
		return missing(id)
	}
	l := newLook(g, v)
	var all []dependent
	for _, e := range v.Snapshot.Entries() {
		all = append(all, l.dependentsOf(e, id.Name)...)
	}
	page, err := pageOf(r, all)
	if err != nil {
		return err
	}
	a.answer(w, http.StatusOK, page)
	return nil
}

// dependentsOf lists the sources of a model at an upstream.
func (l *look) dependentsOf(e *routing.Entry, upstream string) []dependent {
	var own []dependent
	others := false
	for i := range e.Model.Sources {
		source := &e.Model.Sources[i]
		if source.Upstream != upstream {
			others = others || l.survey.sourceUnusable(e.Model, source) == ""
			continue
		}
		d, _ := l.view.Get(registry.ID{Kind: registry.Models, Name: e.Name}, "")
		own = append(own, dependent{Model: e.Name, Origin: d.Origin, Source: l.showSource(e.Model, source)})
	}
	for i := range own {
		own[i].WouldBeUnavailable = !others
	}
	return own
}
