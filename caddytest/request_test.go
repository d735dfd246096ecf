package caddytest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestSameFormatKeepsBytes shows by hash that a request that is not translated
// reaches the upstream byte for byte, but for the model's name, and so does the
// answer on its way back.
func TestSameFormatKeepsBytes(t *testing.T) {
	const odd = `"seed":9007199254740993,"b":1e2, "unknown" : {"z":1,"a":[ ]},"text":"\u003c\u2028 é \/"`
	chatAnswer := `{ "choices":[{"message":{"content":"\u003c"},"finish_reason":"stop","index":0}], "n":9007199254740993, "unknown":null }`
	messagesAnswer := `{ "content":[{"type":"text","text":"\u003c"}],"type":"message","role":"assistant","stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}, "n":9007199254740993 }`
	p := provider.New(t)
	p.Choose(func(r *provider.Request) provider.Step {
		if strings.HasSuffix(r.Path, "/messages") {
			return provider.Status(200, messagesAnswer)
		}
		return provider.Status(200, chatAnswer)
	})
	g := startGateway(t, fmt.Sprintf("upstream u %s {\n formats openai_chat anthropic_messages\n}\nmodel m {\n source u vendor/real\n}", p.URL()))
	for _, tc := range []struct{ path, answer string }{
		{"/v1/chat/completions", chatAnswer},
		{"/v1/messages", messagesAnswer},
		{"/chat/completions", chatAnswer},
		{"/v1/messages?beta=true", messagesAnswer},
	} {
		t.Run(tc.path, func(t *testing.T) {
			g.t = t
			request := `{ "messages":[{"role":"user","content":"\u003ch\u00e9\u003e"}],"max_tokens":5,` + odd + `,"model":%s,"stream":false }` + "\n"
			resp, answer := g.post(tc.path, fmt.Sprintf(request, `"m"`))
			if resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
			got, want := sha256.Sum256(last(t, p).Body), sha256.Sum256([]byte(fmt.Sprintf(request, `"vendor/real"`)))
			if got != want {
				t.Errorf("the upstream got %s", last(t, p).Body)
			}
			if sha256.Sum256([]byte(answer)) != sha256.Sum256([]byte(tc.answer)) {
				t.Errorf("the client got %s", answer)
			}
		})
	}
}

// TestLargeBodiesKeepBytes shows the same for bodies of megabytes, many at a
// time, some of them announced without a length.
func TestLargeBodiesKeepBytes(t *testing.T) {
	p := startProvider(t, provider.Say("ok"))
	g := startGateway(t, fmt.Sprintf("upstream u %s\nmodel m {\n source u real\n}", p.URL()))
	random := rand.New(rand.NewPCG(1, 2))
	sums := make(map[[32]byte]bool)
	done := make(chan error)
	const requests = 24
	for i := range requests {
		content := make([]byte, 1+random.IntN(3<<20))
		for j := range content {
			content[j] = 'a' + byte(random.IntN(26))
		}
		body := fmt.Sprintf(`{"model":%%q,"messages":[{"role":"user","content":"%s"}]}`, content)
		sums[sha256.Sum256([]byte(fmt.Sprintf(body, "real")))] = true
		go func() {
			var reader io.Reader = strings.NewReader(fmt.Sprintf(body, "m"))
			if i%3 == 0 {
				reader = io.MultiReader(reader) // no length
			}
			resp, err := http.Post(g.url+"/v1/chat/completions", "application/json", reader)
			if err == nil {
				resp.Body.Close()
			}
			done <- err
		}()
	}
	for range requests {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for _, r := range p.Requests() {
		if !sums[sha256.Sum256(r.Body)] {
			t.Errorf("a body of %d bytes has changed on its way", len(r.Body))
		}
	}
}

// TestRefusedRequests shows that what cannot be valid never reaches an upstream,
// and gets a precise error in the client's format.
func TestRefusedRequests(t *testing.T) {
	p := startProvider(t, provider.Say("never"))
	g := startGateway(t, fmt.Sprintf("upstream u %s\nmodel m {\n source u real\n}\nmax_body 1MiB", p.URL()))
	for _, tc := range []struct {
		name, body string
		status     int
		says       string
		headers    []string
	}{
		{"unknown model", `{"model":"nobody","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`, 404, "nobody", nil},
		{"no model", `{"messages":[{"role":"user","content":"x"}]}`, 400, "model", nil},
		{"not JSON", `{"model":`, 400, "JSON", nil},
		{"empty", ``, 400, "body", nil},
		{"trailing garbage", `{"model":"m","messages":[{"role":"user","content":"x"}]} x`, 400, "JSON", nil},
		{"too deep", `{"model":"m","messages":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`, 400, "nested", nil},
		{"duplicate key", `{"model":"m","model":"m","messages":[{}]}`, 400, "twice", nil},
		{"not UTF-8", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}", 400, "UTF-8", nil},
		{"too large", `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("x", 1<<20) + `"}]}`, 413, "1.0 MiB", nil},
		{"compressed", `{"model":"m","messages":[{}]}`, 415, "compressed", []string{"Content-Encoding", "gzip"}},
		{"path as model", `{"model":"../../etc/passwd","messages":[{"role":"user","content":"x"}]}`, 404, "passwd", nil},
	} {
		for _, c := range clients[1:3] {
			t.Run(tc.name+"/"+c.name, func(t *testing.T) {
				g.t = t
				resp, answer := g.post(c.path, tc.body, tc.headers...)
				if resp.StatusCode != tc.status || !strings.Contains(answer, tc.says) {
					t.Errorf("%d %s, want %d with %q", resp.StatusCode, answer, tc.status, tc.says)
				}
				checkErrorShape(t, c, resp, answer)
			})
		}
	}
	t.Run("wrong method", func(t *testing.T) {
		g.t = t
		resp, answer := g.get("/v1/chat/completions")
		if resp.StatusCode != 405 || resp.Header.Get("Allow") != "POST" {
			t.Errorf("%d %s", resp.StatusCode, answer)
		}
	})
	t.Run("unknown path goes to the next handler", func(t *testing.T) {
		g.t = t
		if resp, answer := g.get("/v1/unknown"); resp.StatusCode != 418 {
			t.Errorf("%d %s", resp.StatusCode, answer)
		}
	})
	if n := len(p.Requests()); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// TestHugeDeclaredBody shows that a body over the limit is refused by its length,
// before a byte of it is sent.
func TestHugeDeclaredBody(t *testing.T) {
	g := startGateway(t, "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/messages HTTP/1.1\r\nHost: %s\r\nContent-Length: 10000000000\r\n\r\n", strings.TrimPrefix(g.url, "http://"))
	answer := make([]byte, 12)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 413" {
		t.Errorf("got %q (%v)", answer, err)
	}
}

// TestHeadersThatGoUpstream shows that nothing of the client's goes upstream but
// what is on the list, and that the upstream's own headers do.
func TestHeadersThatGoUpstream(t *testing.T) {
	p := startProvider(t, provider.Say("ok"))
	t.Setenv("TEST_UPSTREAM_KEY", "upstream-canary-0123456789")
	g := startGateway(t, fmt.Sprintf(`upstream u %[1]s {
		formats openai_chat anthropic_messages
		credential header x-api-key {env.TEST_UPSTREAM_KEY}
		header X-Team platform
	}
	upstream chat %[1]s {
		credential bearer {env.TEST_UPSTREAM_KEY}
	}
	model m {
		source u real
	}
	model translated {
		source chat real
	}`, p.URL()))
	sent := []string{
		"Authorization", "Bearer client-canary", "X-Api-Key", "client-canary", "X-Goog-Api-Key", "client-canary",
		"Api-Key", "client-canary", "Cookie", "session=client-canary", "X-Forwarded-For", "9.9.9.9",
		"X-Stainless-Lang", "js", "Anthropic-Version", "2026-10-21", "Anthropic-Beta", "one,two",
		"Idempotency-Key", "idem-1", "Connection", "X-Hop", "X-Hop", "hop", "User-Agent", "sdk/1",
	}
	g.post("/v1/messages?key=client-canary", clients[2].body("m"), sent...)
	got := last(t, p)
	for _, want := range []struct{ name, value string }{
		{"X-Api-Key", "upstream-canary-0123456789"},
		{"X-Team", "platform"},
		{"Anthropic-Version", "2026-10-21"},
		{"Anthropic-Beta", "one,two"},
		{"Idempotency-Key", "idem-1"},
		{"Content-Type", "application/json"},
	} {
		if v := got.Header.Get(want.name); v != want.value {
			t.Errorf("%s: %q, want %q", want.name, v, want.value)
		}
	}
	g.post("/v1/messages", clients[2].body("translated"), sent...)
	translated := last(t, p)
	if v := translated.Header.Get("Anthropic-Beta") + translated.Header.Get("Anthropic-Version"); v != "" {
		t.Errorf("headers of another format went upstream: %s", v)
	}
	for _, r := range p.Requests() {
		for name, values := range r.Header {
			if text := strings.Join(values, " "); strings.Contains(text, "client-canary") || strings.Contains(text, "9.9.9.9") || name == "X-Hop" || strings.HasPrefix(name, "X-Stainless") {
				t.Errorf("%s: %s went upstream", name, text)
			}
		}
		if strings.Contains(r.Path, "canary") {
			t.Errorf("the query went upstream: %s", r.Path)
		}
	}
}

// TestSecretsStaySecret shows that an upstream's key is in no answer and no log,
// also when the upstream repeats it in its errors.
func TestSecretsStaySecret(t *testing.T) {
	const canary = "sk-upstream-canary-0123456789"
	t.Setenv("TEST_UPSTREAM_KEY", canary)
	for _, status := range []int{200, 400, 401, 403, 429, 500} {
		p := startProvider(t, provider.Status(status, `{"error":{"message":"the key `+canary+` is wrong","type":"invalid_request_error"}}`))
		g := startGateway(t, fmt.Sprintf("upstream u %s {\n credential {env.TEST_UPSTREAM_KEY}\n}\nmodel m {\n source u real\n}", p.URL()))
		for _, c := range clients {
			resp, answer := g.post(c.path, c.body("m"))
			if strings.Contains(answer, canary) || strings.Contains(fmt.Sprint(resp.Header), canary) {
				t.Errorf("status %d, %s: the key is in the answer: %s", status, c.name, answer)
			}
		}
		if strings.Contains(g.log.String(), canary) {
			t.Errorf("status %d: the key is in the log", status)
		}
	}
}

// TestModels holds the list of models against both formats.
func TestModels(t *testing.T) {
	g := startGateway(t, `upstream demo
	upstream openai {
		credential {env.TEST_NO_SUCH_KEY}
	}
	model a/b {
		display_name "A B"
		vendor acme
		source demo echo
	}
	model c {
		source demo echo
	}
	model off {
		source demo echo
		disabled
	}
	model unconfigured {
		source openai gpt-4o
	}`)
	for _, tc := range []struct {
		name, path, want string
		status           int
		headers          []string
	}{
		{"OpenAI", "/v1/models", `{"object":"list","data":[{"id":"a/b","object":"model","created":0,"owned_by":"acme"},{"id":"c","object":"model","created":0,"owned_by":"ai_gateway"}]}`, 200, nil},
		{"without v1", "/models", `"id":"a/b"`, 200, nil},
		{"Anthropic", "/v1/models", `{"data":[{"type":"model","id":"a/b","display_name":"A B","created_at":"1970-01-01T00:00:00Z"},{"type":"model","id":"c","display_name":"c","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"a/b","last_id":"c"}`, 200, []string{"anthropic-version", "2023-06-01"}},
		{"first page", "/v1/models?limit=1", `"has_more":true,"first_id":"a/b","last_id":"a/b"}`, 200, []string{"anthropic-version", "2023-06-01"}},
		{"second page", "/v1/models?limit=1&after_id=a/b", `"has_more":false,"first_id":"c","last_id":"c"}`, 200, []string{"anthropic-version", "2023-06-01"}},
		{"page before", "/v1/models?limit=1&before_id=c", `"has_more":false,"first_id":"a/b","last_id":"a/b"}`, 200, []string{"anthropic-version", "2023-06-01"}},
		{"bad limit", "/v1/models?limit=many", `"invalid_request_error"`, 400, []string{"anthropic-version", "2023-06-01"}},
		{"one", "/v1/models/c", `{"id":"c","object":"model","created":0,"owned_by":"ai_gateway"}`, 200, nil},
		{"one with an escaped slash", "/v1/models/a%2Fb", `"id":"a/b"`, 200, nil},
		{"one with a slash", "/v1/models/a/b", `"id":"a/b"`, 200, nil},
		{"one for Anthropic", "/v1/models/c", `{"type":"model","id":"c"`, 200, []string{"anthropic-version", "2023-06-01"}},
		{"unknown", "/v1/models/nobody", `"model_not_found"`, 404, nil},
		{"unknown for Anthropic", "/v1/models/nobody", `"not_found_error"`, 404, []string{"anthropic-version", "2023-06-01"}},
		{"disabled", "/v1/models/off", `"model_not_found"`, 404, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g.t = t
			resp, answer := g.get(tc.path, tc.headers...)
			if resp.StatusCode != tc.status || !strings.Contains(answer, tc.want) {
				t.Errorf("%d %s\nwant %d %s", resp.StatusCode, answer, tc.status, tc.want)
			}
		})
	}
	t.Run("asking for one that is not configured", func(t *testing.T) {
		g.t = t
		resp, answer := g.post("/v1/chat/completions", clients[0].body("unconfigured"))
		if resp.StatusCode != 404 || !strings.Contains(answer, "TEST_NO_SUCH_KEY") {
			t.Errorf("%d %s", resp.StatusCode, answer)
		}
	})
}

// TestRequestID shows that a client's id is kept if it is safe to repeat.
func TestRequestID(t *testing.T) {
	g := startGateway(t, "upstream demo\nmodel m {\n source demo echo\n}")
	for _, tc := range []struct {
		name, id string
		kept     bool
	}{
		{"safe", "trace-1.2:3_4", true},
		{"none", "", false},
		{"too long", strings.Repeat("x", 129), false},
		{"unsafe", `a"b`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g.t = t
			resp, _ := g.post("/v1/messages", clients[2].body("m"), "X-Request-Id", tc.id)
			got := resp.Header.Get("X-Request-Id")
			if (got == tc.id) != tc.kept || got == "" {
				t.Errorf("the answer's id is %q", got)
			}
			if resp.Header.Get("Request-Id") != got {
				t.Errorf("Anthropic's SDKs see the id %q, want %q", resp.Header.Get("Request-Id"), got)
			}
		})
	}
}

// TestAccessLog shows that Caddy's access line carries the facts of the request.
func TestAccessLog(t *testing.T) {
	bad := startProvider(t, provider.Status(500, boom))
	good := startProvider(t, provider.Say("ok"))
	g := startGateway(t, fmt.Sprintf("upstream bad %s\nupstream good %s\nmodel m {\n source bad x\n source good y priority 2\n}", bad.URL(), good.URL()))
	for _, c := range clients {
		g.post(c.path, c.body("m"))
	}
	want := `"upstream":"good","upstream_model":"y","attempts":2,"failures":"server"`
	eventually(t, "the access line", func() bool { return strings.Count(g.log.String(), want) == len(clients) })
	if !strings.Contains(g.log.String(), `"tokens_out":`) {
		t.Error("no token counts in the access log")
	}
}

// TestWeights shows that requests are shared by weight, and that weight 0 gets
// none as long as another source is there.
func TestWeights(t *testing.T) {
	g := startGateway(t, `upstream demo
	upstream demo2 {
		provider demo
	}
	upstream drained {
		provider demo
	}
	expose_headers basic
	model m {
		source demo echo weight 70
		source demo2 echo weight 30
		source drained echo weight 0
	}`)
	count := make(map[string]int)
	const requests = 1000
	for range requests {
		resp, _ := g.post("/v1/messages", clients[2].body("m"))
		count[resp.Header.Get("X-Selected-Provider")]++
	}
	if count["drained"] != 0 || count["demo"] < requests*63/100 || count["demo"] > requests*77/100 {
		t.Errorf("the requests went to %v", count)
	}
}

// TestExposeHeadersOff shows that nothing tells about the source when the
// operator wants it so.
func TestExposeHeadersOff(t *testing.T) {
	g := startGateway(t, "upstream demo\nupstream openai {\n credential {env.TEST_NO_SUCH_KEY}\n}\nmodel m {\n source demo echo\n}\nmodel u {\n source openai x\n}\nexpose_headers off")
	if resp, answer := g.post("/v1/messages", clients[2].body("u")); resp.StatusCode != 404 || strings.Contains(answer, "openai") {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	resp, _ := g.post("/v1/messages", clients[2].body("m"))
	for _, name := range []string{"X-Selected-Provider", "X-Selected-Model", "X-Gateway-Attempts"} {
		if v := resp.Header.Get(name); v != "" {
			t.Errorf("%s: %s", name, v)
		}
	}
	if resp.Header.Get("X-Request-Id") == "" {
		t.Error("no request id")
	}
}
