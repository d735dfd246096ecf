package caddytest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestFault07BlackHole: nobody answers at the address, not even with a refusal. It does
// not matter which limit ends the wait: nobody has been asked, so no model is to blame.
func TestFault07BlackHole(t *testing.T) {
	address := "http://" + startBlackHole(t)
	for _, limit := range []string{"connect", "response_header"} {
		t.Run(limit, func(t *testing.T) {
			startOutage(t, address, "timeout "+limit+" "+soonLimit.String()).check(t, unreachable)
		})
	}
}

// startBlackHole returns an address that drops packets: that of a socket whose
// backlog is full.
func startBlackHole(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 16 {
		conn, err := net.DialTimeout("tcp", address, soonLimit)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the backlog does not fill")
	return ""
}

// TestFault78NoFiles: the process may open no more files. Requests that need a new
// connection fail, no circuit counts it, and all is well when there are files again.
// The client's own connection is kept from a request that the demo upstream answers,
// which opens and closes none.
func TestFault78NoFiles(t *testing.T) {
	first := startProvider(t, provider.Say("fine"))
	g := startGateway(t, "upstream demo\nupstream first "+first.URL()+" {\n retries 0\n circuit {\n failures 1\n}\n}\nmodel warm {\n source demo echo\n}\nmodel alone {\n source first x\n}")
	conn := g.dial(t)
	answers := bufio.NewReader(conn)
	send := func(model string) int {
		body := clients[0].body(model)
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", conn.RemoteAddr(), len(body), body)
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Errorf("asking for %s: %v", model, err)
			return 0
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Errorf("reading the answer of %s: %v", model, err)
		}
		return resp.StatusCode
	}
	if status := send("warm"); status != http.StatusOK {
		t.Fatalf("the first answer is %d", status)
	}
	release := exhaustFiles(t)
	status := send("alone")
	release()
	if status < 500 {
		t.Errorf("without files the answer is %d", status)
	}
	checkCounted(t, row{})
	if status := send("alone"); status != http.StatusOK {
		t.Errorf("with files again the answer is %d", status)
	}
}

// exhaustFiles opens files until the process may open none, and returns what closes
// them.
func exhaustFiles(t *testing.T) (release func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	low := was
	low.Cur = min(was.Cur, 512)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	release = func() {
		for _, f := range files {
			f.Close()
		}
		files = nil
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Errorf("restoring the limit: %v", err)
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			return release
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	release()
	t.Fatal("the files do not end")
	return nil
}
