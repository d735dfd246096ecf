package upstream

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

func TestAddressKinds(t *testing.T) {
	for _, tc := range []struct{ name, address, allowed, kind string }{
		{"public", "93.184.216.34", "", ""},
		{"private", "10.1.2.3", "", ""},
		{"loopback", "127.0.0.1", "", ""},
		{"loopback of IPv6", "::1", "", ""},
		{"unique local", "fd12::1", "", ""},
		{"beside the link-local", "169.253.255.255", "", ""},
		{"beside the metadata", "168.63.129.17", "", ""},
		{"NAT64 of a public one", "64:ff9b::5db8:d822", "", ""},
		{"link-local", "169.254.0.1", "", "link-local"},
		{"metadata of most clouds", "169.254.169.254", "", "link-local"},
		{"mapped into IPv6", "::ffff:169.254.169.254", "", "link-local"},
		{"NAT64", "64:ff9b::a9fe:a9fe", "", "link-local"},
		{"6to4", "2002:a9fe:a9fe::1", "", "link-local"},
		{"link-local of IPv6", "fe80::1", "", "link-local"},
		{"with a zone", "fe80::1%eth0", "", "link-local"},
		{"metadata of AWS", "fd00:ec2::254", "", "metadata"},
		{"metadata of Alibaba", "100.100.100.200", "", "metadata"},
		{"metadata of Azure, mapped", "::ffff:168.63.129.16", "", "metadata"},
		{"unspecified", "0.0.0.0", "", "unspecified"},
		{"this network", "0.1.2.3", "", "unspecified"},
		{"unspecified of IPv6", "::", "", "unspecified"},
		{"multicast", "224.0.0.1", "", "multicast"},
		{"multicast of IPv6", "ff02::1", "", "multicast"},
		{"broadcast", "255.255.255.255", "", "broadcast"},
		{"named", "169.254.10.7", "169.254.10.7", ""},
		{"named with a zone", "fe80::1%eth0", "fe80::/10", ""},
		{"named and mapped", "::ffff:169.254.10.7", "169.254.10.0/24", ""},
		{"named and translated", "64:ff9b::a9fe:a9fe", "169.254.169.254", ""},
		{"another is named", "169.254.11.7", "169.254.10.0/24", "link-local"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, err := parseAllowList(strings.Fields(tc.allowed))
			if err != nil {
				t.Fatal(err)
			}
			err = list.check(netip.MustParseAddr(tc.address))
			if tc.kind == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errors.Is(err, ErrAddressRefused) || !strings.Contains(err.Error(), tc.kind) {
				t.Errorf("got %v, want one about %s", err, tc.kind)
			}
		})
	}
}

func TestMetadataNames(t *testing.T) {
	for _, tc := range []struct {
		name, host, allowed string
		refused             bool
	}{
		{"a name", "api.example.com", "", false},
		{"a metadata service", "metadata.google.internal", "", true},
		{"in another spelling", "METADATA.google.internal.", "", true},
		{"left to the check of the address", "metadata.google.internal", "169.254.169.254", false},
		{"an address of another kind", "127.0.0.1", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, err := parseAllowList(strings.Fields(tc.allowed))
			if err != nil {
				t.Fatal(err)
			}
			if err := list.checkHost(tc.host); (err != nil) != tc.refused {
				t.Errorf("got %v", err)
			}
		})
	}
}

// nameServer answers every question for an IPv4 address with what the function
// says, until the test ends.
func nameServer(t *testing.T, answer func() []string) (address string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() { // ends when the socket is closed
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply, err := answerName(buffer[:n], answer); err == nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

func answerName(query []byte, answer func() []string) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.Additionals = true, nil
	for _, q := range m.Questions {
		if q.Type != dnsmessage.TypeA {
			continue
		}
		for _, a := range answer() {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()},
			})
		}
	}
	return m.Pack()
}

// named provisions an upstream whose name the server resolves.
func named(t *testing.T, server *httptest.Server, names, rest string) *Upstream {
	t.Helper()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return mustProvision(t, "mine", `{"base_url":"http://llm.example.test:`+port+`",
		"transport":{"protocol":"http","resolver":{"addresses":["`+names+`"]},"keep_alive":{"enabled":false}}`+rest+`}`)
}

// Row 9 of the fault matrix: a name that leads to a refused address, also if it
// led elsewhere when it was asked for before.
func TestNamesThatLeadToRefusedAddresses(t *testing.T) {
	var served atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		tell(w, r)
	}))
	defer server.Close()
	for _, tc := range []struct {
		name, rest string
		answers    []string // one for each call
		refused    []bool
	}{
		{"never allowed", "", []string{"169.254.169.254"}, []bool{true}},
		{"unspecified, which some systems take for themselves", "", []string{"0.0.0.0"}, []bool{true}},
		{"rebinding", "", []string{"127.0.0.1", "169.254.169.254", "127.0.0.1"}, []bool{false, true, false}},
		{"one of two", "", []string{"169.254.169.254 127.0.0.1"}, []bool{false}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var now atomic.Pointer[string]
			u := named(t, server, nameServer(t, func() []string { return strings.Fields(*now.Load()) }), tc.rest)
			for i, answer := range tc.answers {
				now.Store(&answer)
				before := served.Load()
				_, _, err := do(t, u, &Call{})
				if tc.refused[i] != errors.Is(err, ErrAddressRefused) {
					t.Errorf("call %d to %s: got %v", i, answer, err)
				}
				if reached := served.Load() > before; reached == tc.refused[i] {
					t.Errorf("call %d to %s: reached the server: %t", i, answer, reached)
				}
			}
		})
	}
}

func TestAllowedAddressesAreDialled(t *testing.T) {
	u := mustProvision(t, "mine", `{"base_url":"http://169.254.10.7/v1","allow_addresses":["169.254.10.0/24"]}`)
	d, err := newDialer(u.transport.(*reverseproxy.HTTPTransport), u.allowed)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, network, address string
		refused                bool
	}{
		{"allowed", "tcp4", "169.254.10.7:80", false},
		{"not allowed", "tcp4", "169.254.11.7:80", true},
		{"with a zone", "tcp6", "[fe80::1%lo]:80", true},
		{"of any kind", "tcp6", "[::1]:80", false},
		{"no address", "unix", "/run/llm.sock", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := d.ControlContext(t.Context(), tc.network, tc.address, nil); errors.Is(err, ErrAddressRefused) != tc.refused {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The settings of Caddy's transport hold for our dialer too.
func TestDialerKeepsTheTransportsSettings(t *testing.T) {
	d, err := newDialer(transportOf(t, `{"base_url":"http://h","timeouts":{"connect":"2s"},
		"transport":{"protocol":"http","local_address":"127.0.0.2","dial_fallback_delay":"7ms","read_timeout":"3s","write_timeout":"4s","keep_alive":{"probe_interval":"9s"}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.LocalAddr.String(); got != "127.0.0.2:0" {
		t.Errorf("local address: got %s", got)
	}
	for _, tc := range []struct {
		name      string
		got, want time.Duration
	}{
		{"connect", d.Timeout, 2 * time.Second},
		{"fallback", d.FallbackDelay, 7 * time.Millisecond},
		{"read", d.read, 3 * time.Second},
		{"write", d.write, 4 * time.Second},
		{"probes", d.KeepAliveConfig.Interval, 9 * time.Second},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, tc.got, tc.want)
		}
	}
}

func TestReadTimeoutOfTheTransport(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	u := mustProvision(t, "mine", `{"base_url":"`+server.URL+`","transport":{"protocol":"http","read_timeout":"30ms"}}`)
	_, _, err := do(t, u, &Call{})
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		t.Errorf("got %v", err)
	}
}

// Rows 8 and 12: a resolver and a handshake without an answer end at their limit.
func TestConnectionLimits(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, tc := range []struct{ name, config string }{
		{"silent resolver", `{"base_url":"http://llm.example.test","timeouts":{"connect":"50ms"},"transport":{"protocol":"http","resolver":{"addresses":["` + silent.LocalAddr().String() + `"]}}}`},
		{"silent handshake", `{"base_url":"https://` + listener.Addr().String() + `","timeouts":{"tls_handshake":"50ms"}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := mustProvision(t, "mine", tc.config)
			began := time.Now()
			_, _, err := do(t, u, &Call{})
			if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestDefaultHeaderLimits(t *testing.T) {
	u := mustProvision(t, "mine", `{"base_url":"http://h"}`)
	for op, want := range map[format.Operation]time.Duration{
		format.OperationChat:            300 * time.Second,
		format.OperationComplete:        300 * time.Second,
		format.OperationEmbed:           60 * time.Second,
		format.OperationRerank:          60 * time.Second,
		format.OperationImageGenerate:   600 * time.Second,
		format.OperationImageEdit:       600 * time.Second,
		format.OperationAudioSpeech:     600 * time.Second,
		format.OperationAudioTranscribe: 600 * time.Second,
	} {
		got := u.Limits(op, false)
		if got.Header != want || got.Total != 600*time.Second || got.FirstContent != 0 || got.Idle != 0 {
			t.Errorf("%s: got %+v, want %s", op, got, want)
		}
	}
	if got := u.ConnectLimit(); got != 5*time.Second {
		t.Errorf("connect: got %s", got)
	}
	if got := mustProvision(t, "mine", `{"base_url":"http://h","timeouts":{"connect":"2s"}}`).ConnectLimit(); got != 2*time.Second {
		t.Errorf("set connect: got %s", got)
	}
}
