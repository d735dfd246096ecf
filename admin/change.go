package admin

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// change makes one change and answers with the definition as it is then.
func (a *API) change(g Gateway, w http.ResponseWriter, r *http.Request, op registry.Op, status int) error {
	out, dry, err := a.apply(g, r, op)
	if err != nil {
		return err
	}
	d := out.Results[0].Definition
	if dry {
		status = http.StatusOK
	} else {
		w.Header().Set("ETag", tagOfDefinition(&d))
	}
	if status == http.StatusCreated && r.Method == http.MethodPost {
		w.Header().Set("Location", string(op.Kind)+"/"+segment(d.Name)) // beside the path of the list
	}
	a.answer(w, status, newLook(g, out.View).show(&d))
	return nil
}

// apply makes one change with the request's precondition.
func (a *API) apply(g Gateway, r *http.Request, op registry.Op) (registry.Outcome, bool, error) {
	dry, err := yes(r, "dry_run")
	if err != nil {
		return registry.Outcome{}, false, err
	}
	op.If = expected(r)
	out, err := a.commit(g, r, []registry.Op{op}, dry)
	return out, dry, err
}

// commit makes a change, or tries it, and tells the log of it.
func (a *API) commit(g Gateway, r *http.Request, ops []registry.Op, dry bool) (registry.Outcome, error) {
	out, err := g.Change(ops, registry.ChangeOptions{Actor: actor(r), DryRun: dry})
	if err != nil {
		return out, translated(err)
	}
	if !dry {
		a.audit(r, out)
	}
	return out, nil
}

// expected is the revision that a definition must be at, by the request's If-Match;
// 0 for any, and none.
func expected(r *http.Request) uint64 {
	text := strings.TrimSpace(strings.Join(r.Header.Values("If-Match"), ","))
	switch text {
	case "":
		return 0
	case "*":
		return registry.Existing
	}
	digits := strings.Trim(strings.TrimPrefix(text, "W/"), `"`)
	if revision, err := strconv.ParseUint(digits, 10, 64); err == nil && revision != 0 {
		return revision
	}
	return registry.NoRevision // the tag of a declared definition, or none of ours
}

// audit tells the log who has changed what.
func (a *API) audit(r *http.Request, out registry.Outcome) {
	for i := range out.Results {
		res := &out.Results[i]
		if !res.Changed {
			continue
		}
		fields := []zap.Field{
			zap.String("kind", res.Kind.One()), zap.String("name", res.Name), zap.String("what", string(res.Verb)),
			zap.Uint64("revision", res.Revision), zap.String("actor", actor(r)), zap.String("remote", remote(r)),
		}
		if res.Verb != registry.Delete {
			fields = append(fields, zap.ByteString("spec", res.Spec())) // secrets are masked
		}
		a.logger.Info("definition changed", fields...)
	}
}

// deletion is the answer to DELETE.
type deletion struct {
	Name string `json:"name"`
	// Deleted is false in a dry run.
	Deleted bool     `json:"deleted"`
	Impact  []impact `json:"impact"`
}

// impact is what a deletion means for another definition.
type impact struct {
	// Kind is model or alias.
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Effect is loses_source, left_without_source or deleted.
	Effect registry.Effect `json:"effect"`
	// Sources that a model loses, by id.
	Sources []string `json:"sources,omitempty"`
}

func impactsOf(all []registry.Impact) []impact {
	shown := make([]impact, len(all))
	for i, one := range all {
		shown[i] = impact{Kind: one.Kind.One(), Name: one.Name, Effect: one.Effect, Sources: one.Sources}
	}
	return shown
}

// translated makes an error of a change one of the API.
func translated(err error) error {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		return err
	}
	status := map[registry.Code]int{
		registry.CodeInvalid:     http.StatusBadRequest,
		registry.CodeUnknown:     http.StatusNotFound,
		registry.CodeExists:      http.StatusConflict,
		registry.CodeDeclared:    http.StatusConflict,
		registry.CodeStale:       http.StatusPreconditionFailed,
		registry.CodeInUse:       http.StatusConflict,
		registry.CodeObserve:     http.StatusForbidden,
		registry.CodeNoSecretKey: http.StatusConflict,
		registry.CodeStore:       http.StatusServiceUnavailable,
		registry.CodeNoSpace:     http.StatusInsufficientStorage,
	}[e.Code]
	code := string(e.Code)
	if e.Code == registry.CodeInvalid {
		code = "invalid_request"
	}
	return &Error{Status: status, Code: code, Message: e.Message, Field: specField(e), Impact: impactsOf(e.Impact)}
}

// specField is the path of a refused field in the request's body.
func specField(e *registry.Error) string {
	switch e.Field {
	case "", "name", "source":
		return e.Field
	default:
		return "spec." + e.Field
	}
}
