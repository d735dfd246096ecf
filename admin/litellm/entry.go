package litellm

import (
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// deployment is an entry of model_list that can be converted.
type deployment struct {
	entry, params, info field
	name                string // what clients ask for
	model               string // the upstream's name for it; * for all
	task                task
	format              string // "": any
	service             service
	upstream            *upstreamBlock
	disabled            bool
}

// readEntry reads an entry; nil, and it is named, if it cannot be converted.
func (c *converter) readEntry(entry field, credentials map[string]field) *deployment {
	d := &deployment{entry: entry, params: entry.get("litellm_params"), info: entry.get("model_info")}
	d.name = entry.get("model_name").text()
	written := d.params.get("model").text()
	switch {
	case d.name == "" || written == "":
		c.name(entry, "has no model_name or no litellm_params.model")
		return nil
	case strings.HasPrefix(written, "os.environ/"):
		c.name(entry, "a model's name cannot be read from the environment; write it out")
		return nil
	}
	custom := d.params.get("custom_llm_provider").text()
	p, label, rest, ok := providerOf(written, custom)
	switch {
	case !ok && label == "":
		c.name(entry, "the model's name tells no provider; write it as provider/model")
		return nil
	case !ok:
		c.name(entry, noKind)
		return nil
	case p.why != "":
		c.name(entry, "provider %s: %s", label, p.why)
		return nil
	}
	d.model = rest
	if !sayable(d.name) || !sayable(d.model) {
		c.name(entry, "the name is empty, longer than 256 bytes, or holds characters that a Caddyfile cannot")
		return nil
	}
	if d.task, ok = tasks[d.info.get("mode").text()]; !ok {
		c.name(entry, "the gateway does not serve this mode")
		return nil
	}
	// Everything that refuses an entry as a whole comes before anything is taken.
	credential := credentials[d.params.get("litellm_credential_name").text()]
	if why := d.readService(p, credential); why != "" {
		c.name(entry, "%s", why)
		return nil
	}
	c.take(entry.get("model_name"), d.params.get("model"), d.params.get("custom_llm_provider"), d.info.get("mode"))
	if credential.there() {
		c.take(d.params.get("litellm_credential_name"), credential.get("credential_name"))
	}
	c.takeService(d, credential)
	return d
}

// sayable says whether a Caddyfile can hold a name, and the gateway serve it.
func sayable(name string) bool {
	_, ok := quote(name)
	return ok && routing.CheckName(name) == nil
}

// readService reads where the entry's upstream is; why is not empty if nothing can
// be served there.
func (d *deployment) readService(p provider, credential field) (why string) {
	values := credential.get("credential_values")
	base := firstThere(d.params.get("api_base"), d.params.get("base_url"), values.get("api_base"), values.get("base_url"))
	s := &d.service
	if base.there() {
		if s.address, why = readAddress(base, p.preset == "azure_openai"); why != "" {
			return why
		}
		if p.preset == "openai" && !s.address.isOpenAI() {
			format := p.format
			p = compatible
			p.format = format
		}
	}
	s.preset = p.preset
	if s.address.empty() && (p.preset == "" || p.preset == "azure_openai") {
		if p.address == "" {
			return "has no api_base"
		}
		s.address = value{variable: p.address}
	}
	d.format = p.format
	if d.task.format != "" {
		d.format = d.task.format
	}
	key := firstThere(d.params.get("api_key"), values.get("api_key"))
	ownServer := p.preset == "" || p.preset == "ollama" || p.preset == "vllm" || p.preset == "lmstudio"
	switch {
	case key.text() != "" && !(ownServer && isDummyKey(key.text())):
		s.credential = readKey(key, "KEY")
	case !key.there() && p.key != "":
		s.credential = value{variable: p.key}
	}
	return d.checkTask()
}

// checkTask says why the upstream cannot be asked for what the entry is for.
func (d *deployment) checkTask() string {
	if d.service.preset == "" {
		return ""
	}
	u := upstream.Upstream{Provider: d.service.preset, BaseURL: "http://localhost"}
	spoken, err := u.Check("upstream")
	if err != nil {
		return "the gateway has no preset " + d.service.preset
	}
	op := format.Operation(d.task.operation)
	switch {
	case d.format != "" && !slices.Contains(spoken, format.ID(d.format)):
		return "the gateway does not speak " + d.format + " to this provider"
	case op != "" && !slices.ContainsFunc(spoken, func(f format.ID) bool { return upstream.Serves(f, op) }):
		return "the gateway knows no address of this provider for this mode"
	default:
		return ""
	}
}

// takeService takes what readService used, reads what else the upstream is told, and
// finds or makes the upstream.
func (c *converter) takeService(d *deployment, credential field) {
	s, p := &d.service, d.params
	values := credential.get("credential_values")
	c.first(p.get("api_base"), p.get("base_url"), values.get("api_base"), values.get("base_url"))
	c.first(p.get("api_key"), values.get("api_key"))
	c.take(s.address.from, s.credential.from)
	if s.address.shortened {
		c.name(s.address.from, "only the resource's address is kept: the gateway makes the path itself, and needs no version")
	}
	if s.credential.empty() {
		c.take(p.get("api_key"), values.get("api_key")) // there is none, and none is sent
	}
	c.readHeaders(s, p)
	s.timeout, _ = c.either(c.seconds, &c.shared.timeout, p.get("timeout"))
	s.stream, _ = c.either(c.seconds, &c.shared.streamTimeout, p.get("stream_timeout"))
	n, set := c.either(c.retries, &c.shared.retries, p.get("num_retries"), p.get("max_retries"))
	s.once = set && n == 0
	if n, ok := c.count(p.get("max_parallel_requests"), 1, 1_000_000); ok {
		s.parallel, s.model = n, d.model
		c.take(p.get("max_parallel_requests"))
	}
	if pause := p.get("cooldown_time"); c.circuit.off {
		c.name(pause, "disable_cooldowns is true")
	} else if n, ok := c.seconds(pause); ok {
		s.openFor = n
		c.take(pause)
	}
	if blocked := d.info.get("blocked"); blocked.there() {
		if value, ok := c.flag(blocked); ok {
			d.disabled = value
			c.take(blocked)
		}
	}
	d.upstream = c.upstreamOf(d)
}

// readHeaders reads the headers of an entry, each by its first spelling.
func (c *converter) readHeaders(s *service, params field) {
	add := func(name string, f field) {
		h, why := readHeader(name, f)
		switch {
		case why != "":
			c.name(f, "%s", why)
		case slices.ContainsFunc(s.headers, func(o header) bool { return o.name == h.name }):
			c.name(f, "another line of this entry sets the same header")
		default:
			s.headers = append(s.headers, h)
			c.take(f)
		}
	}
	if org := params.get("organization"); org.isList() {
		c.name(org, "several organizations are several upstreams; declare one for each, with header OpenAI-Organization")
	} else if org.there() {
		add("OpenAI-Organization", org)
	}
	for _, from := range []string{"extra_headers", "headers"} {
		for name, f := range params.get(from).pairs {
			if !f.null() {
				add(name, f)
			}
		}
	}
	slices.SortStableFunc(s.headers, func(a, b header) int { return strings.Compare(a.name, b.name) })
}

// firstThere is the first of the fields that is there.
func firstThere(fields ...field) field {
	for _, f := range fields {
		if f.there() {
			return f
		}
	}
	return field{}
}
