package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// buildCaddy builds the project's own Caddy, wherever in the module this
// program was started.
func buildCaddy(ctx context.Context, output string) error {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("finding the module: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", output, "./cmd/caddy")
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(out)))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building ./cmd/caddy: %w\n%s", err, out)
	}
	return nil
}

var gatewayModule = regexp.MustCompile(`(?m)^http\.handlers\.ai_gateway\b`)

func hasGateway(ctx context.Context, binary string) bool {
	out, err := exec.CommandContext(ctx, binary, "list-modules").Output()
	return err == nil && gatewayModule.Match(out)
}

// A caddyProcess is one Caddy under measurement.
type caddyProcess struct {
	address string // host:port of its site
	pid     int
	cancel  context.CancelFunc
	exited  chan struct{} // closed when the process has ended
}

// startCaddy runs a configuration in a directory of its own, which becomes
// the process's home, and waits until the site accepts connections.
func startCaddy(ctx context.Context, binary, dir, config, mock string) (*caddyProcess, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "Caddyfile")
	text := strings.NewReplacer("{listen}", address, "{mock}", mock).Replace(config)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, fmt.Errorf("making the log: %w", err)
	}
	defer log.Close()

	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, binary, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second // then it is killed
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("starting Caddy: %w", err)
	}
	p := &caddyProcess{address: address, pid: cmd.Process.Pid, cancel: cancel, exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // An early end shows as refused connections.
	}()
	if err := p.waitReady(ctx); err != nil {
		p.stop()
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("starting Caddy: %w\n%s\n%s", err, text, said)
	}
	return p, nil
}

// stop ends the process and returns when it has ended.
func (p *caddyProcess) stop() {
	p.cancel()
	<-p.exited
}

func (p *caddyProcess) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", p.address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.exited:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// freeAddress returns an address on the loopback that was free a moment ago.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
