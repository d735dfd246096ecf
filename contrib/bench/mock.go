package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A mockProcess is the mock provider as the measuring process sees it: a
// process of its own, so that its CPU time counts for nobody. It has an
// address for each side, because each side must send another model name.
type mockProcess struct {
	plain, gateway string // host:port
	stop           func()
}

// startMock starts this program again as the mock provider. The provider
// ends when its standard input closes, also when this process is killed.
func startMock(ctx context.Context, gap time.Duration) (*mockProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, mockFlag, gap.String())
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the mock provider: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the mock provider: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the mock provider: %w", err)
	}
	m := &mockProcess{stop: func() {
		stdin.Close()
		_ = cmd.Wait() // It was told to end; how it ends does not matter.
	}}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	addresses := strings.Fields(line)
	if err != nil || len(addresses) != 2 {
		m.stop()
		return nil, fmt.Errorf("the mock provider said %q instead of its addresses: %w", line, err)
	}
	m.plain, m.gateway = addresses[0], addresses[1]
	return m, nil
}

// serveMock is the mock provider's main.
func serveMock(args []string) error {
	gap := time.Millisecond
	if len(args) > 0 {
		var err error
		if gap, err = time.ParseDuration(args[0]); err != nil {
			return err
		}
	}
	failed := make(chan error, 2)
	var addresses []string
	for _, model := range []string{clientModel, upstreamModel} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		addresses = append(addresses, listener.Addr().String())
		server := &http.Server{Handler: newMock(model, gap), ReadHeaderTimeout: time.Minute}
		go func() { failed <- server.Serve(listener) }()
	}
	fmt.Println(strings.Join(addresses, " "))

	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		failed <- err
	}()
	return <-failed
}

// A mock answers OpenAI chat and Anthropic messages. It refuses whatever is
// not one of this program's payloads with the model name it expects.
type mock struct {
	model   string
	gap     time.Duration
	known   map[uint32]*payload // by checksum without the model name
	buffers sync.Pool
	count   atomic.Int64
}

func newMock(model string, gap time.Duration) http.Handler {
	m := &mock{model: model, gap: gap, known: make(map[uint32]*payload)}
	m.buffers.New = func() any { return new(bytes.Buffer) }
	for _, p := range payloads() {
		m.known[p.rest] = p
	}
	return m
}

func (m *mock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	buf := m.buffers.Get().(*bytes.Buffer)
	defer m.buffers.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch r.URL.Path {
	case "/v1/chat/completions":
		m.answer(w, buf.Bytes(), m.checkOpenAI, openAIPlain, openAIStream)
	case "/v1/messages":
		m.answer(w, buf.Bytes(), m.checkAnthropic, anthropicPlain, anthropicStream)
	default:
		refuse(w, http.StatusNotFound, "no such path: "+r.URL.Path)
	}
}

func (m *mock) answer(w http.ResponseWriter, body []byte, check func([]byte) (bool, error), plain []byte, events [][]byte) {
	stream, err := check(body)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	if !stream {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(plain)))
		_, _ = w.Write(plain)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	control := http.NewResponseController(w)
	for _, event := range events {
		if _, err := w.Write(event); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		time.Sleep(m.gap)
	}
}

// checkOpenAI knows its payloads to the byte.
func (m *mock) checkOpenAI(body []byte) (stream bool, err error) {
	model, rest, _ := splitModel(body)
	p := m.known[rest]
	if p == nil {
		return false, fmt.Errorf("a body of %d bytes that no scenario sends: %.200q", len(body), body)
	}
	if model != m.model {
		return false, fmt.Errorf("model %q, want %q", model, m.model)
	}
	return p.stream, nil
}

// checkAnthropic looks for what every translation of a payload must contain,
// and now and then whether it is JSON at all.
func (m *mock) checkAnthropic(body []byte) (stream bool, err error) {
	if model, _, _ := splitModel(body); model != m.model {
		return false, fmt.Errorf("model %q, want %q", model, m.model)
	}
	if !bytes.Contains(body, []byte(`"max_tokens":`)) {
		return false, fmt.Errorf("no max_tokens: %.200q", body)
	}
	if m.count.Add(1)%32 == 1 && !json.Valid(body) {
		return false, fmt.Errorf("not JSON: %.200q", body)
	}
	for _, p := range m.known {
		if bytes.Contains(body, []byte(p.last)) {
			return p.stream, nil
		}
	}
	return false, fmt.Errorf("a body of %d bytes without any scenario's question: %.200q", len(body), body)
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(encode(object{"error": object{"type": "invalid_request_error", "message": message}}))
}
