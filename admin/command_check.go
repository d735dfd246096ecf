package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/probe"
)

func checkCommand() *cobra.Command {
	return with(&cobra.Command{
		Use:   "check",
		Short: "Tests everything, and says what to do about what fails",
		Long: `
Looks at the store and the models, and tests every upstream that is not disabled in
stages: whether it can be reached, takes the credential, and answers in its format.
For everything that fails it says what to do. Exits with 1 if anything does.`,
	}, check)
}

// checked is one thing that was looked at.
type checked struct {
	Kind string `json:"kind"` // store, upstream or model
	Name string `json:"name,omitempty"`
	OK   bool   `json:"ok"`
	// Detail is what is wrong, and Fix what to do about it. Default: nothing.
	Detail string `json:"detail,omitempty"`
	Fix    string `json:"fix,omitempty"`
	// Test is the API's answer for an upstream.
	Test json.RawMessage `json:"test,omitempty"`
}

// checksAtOnce is how many upstreams are tested at the same time.
const checksAtOnce = 4

// check gathers the status and the tests of all upstreams.
func check(s *session, _ *cobra.Command, _ []string) error {
	answer, err := s.get("/status", nil)
	if err != nil {
		return err
	}
	var status Status
	if err := json.Unmarshal(answer, &status); err != nil {
		return fmt.Errorf("reading the status: %w", err)
	}
	all := []checked{checkStore(&status.Store)}
	tests, err := s.testAll(&status)
	if err != nil {
		return err
	}
	all = append(all, tests...)
	for i := range status.Models {
		if m := &status.Models[i]; !m.Disabled {
			all = append(all, checkModel(m))
		}
	}
	return s.showChecks(all)
}

// checkStore looks at the store.
func checkStore(store *StoreStatus) checked {
	c := checked{Kind: "store", OK: store.State == StoreOK, Detail: store.Reason}
	if !c.OK {
		c.Fix = "free space, or make the data directory one that this process alone may write to; it is tried again by itself"
	}
	return c
}

// checkModel looks at a model.
func checkModel(m *ModelStatus) checked {
	c := checked{Kind: "model", Name: m.Name, OK: m.Usable, Detail: m.Reason}
	switch {
	case c.OK:
		c.Detail = partOf(m.UsableSources, m.Sources) + " sources usable"
	case m.Sources == 0:
		c.Fix = "give it a source: caddy ai source add"
	case m.CircuitOpen:
		c.Fix = "wait, or once the upstream works again: caddy ai circuit reset"
	default:
		c.Fix = "make one of its upstreams usable, or add a source: caddy ai source add"
	}
	return c
}

// testAll tests all upstreams that are not disabled, a few at a time.
func (s *session) testAll(status *Status) ([]checked, error) {
	var names []string
	for i := range status.Upstreams {
		if u := &status.Upstreams[i]; u.stateWord() != stateDisabled {
			names = append(names, u.Name)
		}
	}
	defer s.progress("")
	s.progress("testing %d upstreams", len(names))
	all, errs := make([]checked, len(names)), make([]error, len(names))
	turns := make(chan struct{}, checksAtOnce)
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			all[i], errs[i] = s.checkUpstream(name)
		})
	}
	wait.Wait()
	return all, errors.Join(errs...)
}

// checkUpstream tests one upstream.
func (s *session) checkUpstream(name string) (checked, error) {
	c := checked{Kind: "upstream", Name: name}
	answer, err := s.send(&request{method: http.MethodPost, path: "/upstreams/test"}, testRequest{Name: name})
	if refused, ok := errors.AsType[*refusedError](err); ok {
		c.Detail, c.Fix = refused.Error(), "correct its definition"
		return c, nil
	}
	if err != nil {
		return c, err
	}
	var result probe.StageResult
	if err := json.Unmarshal(answer, &result); err != nil {
		return c, fmt.Errorf("reading the test of upstream %q: %w", name, err)
	}
	c.Test = answer
	failed := failedStage(&result)
	if c.OK = failed == nil; c.OK {
		c.Detail = fmt.Sprintf("it lists %d models", result.Models)
		return c, nil
	}
	c.Detail, c.Fix = failed.Name+": "+because(failed.Code, failed.Message), fixOf(failed.Code)
	return c, nil
}

// fixOf is what a person can do about a failure.
func fixOf(code probe.Code) string {
	switch code {
	case probe.CodeAuthFailed:
		return "give it a credential that the service takes: caddy ai upstream set NAME --credential env:VARIABLE, or where it is declared"
	case probe.CodeNotConfigured:
		return "set the variable or the file that its address or credential is read from, and reload"
	case probe.CodeQuotaExhausted:
		return "top up the account at the provider, or add a credential of another one"
	case probe.CodeRateLimited:
		return "wait, or ask the provider for a higher limit"
	case probe.CodeModelNotFound:
		return "see which models it has: caddy ai fetch, caddy ai catalogue ls; or correct the URL"
	case probe.CodeRequestInvalid, probe.CodeResponseIncompatible:
		return "see whether the URL, the formats and the quirks are those of the service"
	case probe.CodeUpstreamUnavailable:
		return "the service fails: look at its status page, and try again later"
	case probe.CodeTLSError:
		return "see whether the URL's scheme and the certificate are right; a private authority goes into the transport"
	case probe.CodeNameNotResolved:
		return "correct the host in the URL, or the resolver of this machine"
	case probe.CodeNetworkError:
		return "see whether the URL is right, the service runs, and nothing on the way blocks it; a private address needs allow_addresses"
	case probe.CodeTimeout:
		return "see whether the service is overloaded; try again later"
	case probe.CodeDisabled:
		return "take it into use: caddy ai upstream enable"
	default:
		return "read the server's log"
	}
}

// showChecks prints everything that was looked at.
func (s *session) showChecks(all []checked) error {
	t := table{columns: []string{"CHECK", "NAME", "RESULT", "DETAIL", "WHAT TO DO"}}
	var names []string
	for i := range all {
		c := &all[i]
		result := cell{"ok", green}
		if !c.OK {
			result = cell{"failed", red}
			names = append(names, c.Kind+" "+c.Name)
		}
		t.row(text(c.Kind), text(c.Name), result, text(c.Detail), text(c.Fix))
	}
	err := s.show(printout{
		answer: append(mustWrite(map[string]any{"ok": len(names) == 0, "checks": all}), '\n'),
		names:  func() []string { return names },
		table:  func() error { return t.write(s.out, s.colour) },
	})
	if err == nil && len(names) > 0 {
		return errNeedsCare
	}
	return err
}
