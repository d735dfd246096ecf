package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// requestTimeout bounds a single request, so that a hanging side ends the
// run with an error.
const requestTimeout = 60 * time.Second

// newClient returns a client that keeps a connection for each worker.
func newClient(clients int) *http.Client {
	return &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			MaxIdleConns:        clients,
			MaxIdleConnsPerHost: clients,
			DisableCompression:  true,
			WriteBufferSize:     64 << 10,
			ReadBufferSize:      64 << 10,
		},
	}
}

// load sends n requests of a scenario from its workers, checks every answer
// and returns how long each took. The first wrong answer ends it.
func load(ctx context.Context, s scenario, target *side, n int) ([]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	latencies := make([]time.Duration, n)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range s.clients {
		workers.Go(func() {
			var answer bytes.Buffer
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				begin := time.Now()
				if err := ask(ctx, s, target, &answer); err != nil {
					cancel(fmt.Errorf("side %s, request %d: %w", target.name, i, err))
					return
				}
				latencies[i] = time.Since(begin)
			}
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return latencies, nil
}

func ask(ctx context.Context, s scenario, target *side, answer *bytes.Buffer) error {
	url := "http://" + target.caddy.address + "/v1/chat/completions"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(s.body.body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer client-credential")
	req.Header.Set("User-Agent", "bench/1")

	resp, err := target.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer.Reset()
	if _, err := answer.ReadFrom(resp.Body); err != nil && err != io.EOF {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %.500q", resp.StatusCode, answer.Bytes())
	}
	if target.gateway {
		attempts := resp.Header.Get("X-Gateway-Attempts")
		if attempts == "" || (attempts != "1") != s.failover {
			return fmt.Errorf("%q attempts; failover is expected: %v", attempts, s.failover)
		}
	}
	return checkAnswer(answer.Bytes(), s.body.stream, target.gateway && s.translated)
}
