package aigateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/storage"
)

// openerVariable names the step at which a process that opens a circuit by hand
// stops, to be killed there. The test binary is started again for it.
const openerVariable = "AI_GATEWAY_TEST_OPENER"

// The steps of a manual open.
const (
	stepDecided  = "decided"  // in force in memory, nothing is written
	stepWritten  = "written"  // on the disk, nobody was told
	stepAnswered = "answered" // the person was told
)

func init() {
	step := os.Getenv(openerVariable)
	if step == "" {
		return
	}
	err := openAndStop(os.Args[1], step)
	fmt.Println("error: the process was not stopped:", err)
	os.Exit(1)
}

// opened is the key of the circuit, and what is decided about it: once, and then
// otherwise.
var opened = routing.CircuitKey{Scope: routing.ScopeUpstreamModel, Upstream: "u", Model: "m"}

const (
	firstReason, firstActor   = "the first reason", "ann"
	secondReason, secondActor = "another reason", "bob"
)

// stoppingStore stops the process around a write.
type stoppingStore struct {
	circuitTable
	stop func(step string)
}

// SaveCircuits implements routing.CircuitStore.
func (s stoppingStore) SaveCircuits(records []routing.CircuitRecord) error {
	s.stop(stepDecided)
	err := s.circuitTable.SaveCircuits(records)
	s.stop(stepWritten)
	return err
}

// openAndStop opens a circuit by hand, then once more for another reason, which
// stops at a step for ever.
func openAndStop(dir, at string) error {
	store, err := storage.Open(context.Background(), storage.Options{Dir: dir})
	if err != nil {
		return err
	}
	armed := false
	stop := func(step string) {
		if armed && step == at {
			fmt.Println(step)
			select {} // until it is killed
		}
	}
	table := circuitTable{storage.NewTable[routing.CircuitRecord](store, "circuits"), store}
	writer := routing.NewCircuitWriter(stoppingStore{table, stop}, nil)
	circuits := routing.NewCircuits()
	circuits.Persist(time.Now(), writer)
	if _, err := circuits.Open(time.Now(), opened, time.Time{}, firstReason, firstActor); err != nil {
		return err
	}
	armed = true
	if _, err := circuits.Open(time.Now(), opened, time.Now().Add(time.Hour), secondReason, secondActor); err != nil {
		return err
	}
	stop(stepAnswered)
	return nil
}

// TestFault69KilledInAManualOpen kills a process at each step of a manual open: what
// is there after it is the one decision or the other, whole, and the one that
// somebody was told of is there.
func TestFault69KilledInAManualOpen(t *testing.T) {
	for step, want := range map[string]string{stepDecided: firstReason, stepWritten: secondReason, stepAnswered: secondReason} {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			killAt(t, dir, step)
			s, err := newShared(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Destruct(); err != nil {
					t.Error(err)
				}
			}()
			if st := s.store.Status(); st.Degraded {
				t.Errorf("the store is degraded: %s", st.Reason)
			}
			views := s.routing.Circuits.All(time.Now())
			if len(views) != 1 || views[0].Key != opened || views[0].State != routing.CircuitForcedOpen || views[0].Reason != want {
				t.Fatalf("want a circuit that is forced open because of %q, got %+v", want, views)
			}
			first := views[0].Actor == firstActor && views[0].Until.IsZero()
			second := views[0].Actor == secondActor && !views[0].Until.IsZero()
			if first != (want == firstReason) || second != (want == secondReason) {
				t.Errorf("a half of each: %+v", views[0])
			}
		})
	}
}

// killAt runs a process up to a step and kills it there.
func killAt(t *testing.T, dir, step string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(os.Environ(), openerVariable+"="+step)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if killErr := cmd.Process.Kill(); killErr != nil {
		t.Error(killErr)
	}
	_ = cmd.Wait() // It was killed, and says so.
	if err != nil && err != io.EOF || line != step+"\n" {
		t.Fatalf("the process said %q, %v", line, err)
	}
}
