package main

import (
	"fmt"
	"strings"
)

// A scenario is one kind of request, sent in the OpenAI chat format to both
// sides. A always hands it unchanged to the mock provider.
type scenario struct {
	name     string
	about    string
	body     *payload
	requests int // per round
	clients  int
	gateway  string // configuration of B

	// translated: B's upstream speaks another format, so its answer is
	// compared by meaning, not by bytes.
	translated bool
	// failover: B must report more than one attempt, else exactly one.
	failover bool
}

func scenarios() []scenario {
	small, agent, image, stream := smallPayload(), agentPayload(), imagePayload(), streamPayload()
	return []scenario{
		{
			name: "1kb", about: "chat of 1 KB, answer of 1 KB, same format",
			body: small, requests: 6000, clients: 8, gateway: sameFormatConfig,
		},
		{
			name: "100kb", about: "agent history of 100 KB with 20 tools, same format",
			body: agent, requests: 3000, clients: 8, gateway: sameFormatConfig,
		},
		{
			name: "2mb", about: "image of 2 MB in base64, same format",
			body: image, requests: 320, clients: 4, gateway: sameFormatConfig,
		},
		{
			name: "stream200", about: fmt.Sprintf("stream of %d chunks, same format", streamChunks),
			body: stream, requests: 160, clients: 32, gateway: sameFormatConfig,
		},
		{
			name: "translated-1kb", about: "chat of 1 KB to an Anthropic upstream",
			body: small, requests: 6000, clients: 8, gateway: translatedConfig, translated: true,
		},
		{
			name: "translated-stream", about: fmt.Sprintf("stream of %d chunks from an Anthropic upstream", streamChunks),
			body: stream, requests: 160, clients: 32, gateway: translatedConfig, translated: true,
		},
		{
			name: "translated-100kb", about: "agent history of 100 KB to an Anthropic upstream",
			body: agent, requests: 3000, clients: 8, gateway: translatedConfig, translated: true,
		},
		{
			name: "failover", about: "chat of 1 KB, the first source refuses the connection",
			body: small, requests: 6000, clients: 8, gateway: failoverConfig, failover: true,
		},
	}
}

func scenarioNames() string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return strings.Join(names, ",")
}

// The configurations are templates: {listen} and {mock} are host:port, and
// the rest is what a user would write.
const (
	commonConfig = `{
	admin off
	persist_config off
	auto_https off
	skip_install_trust
	grace_period 1s
	log {
		output discard
	}
}

`
	plainConfig = commonConfig + `http://{listen} {
	bind 127.0.0.1
	reverse_proxy {mock}
}
`
	sameFormatConfig = commonConfig + `http://{listen} {
	bind 127.0.0.1
	ai_gateway {
		upstream mock http://{mock}/v1 {
			formats openai_chat
		}
		model ` + clientModel + ` {
			source mock ` + upstreamModel + `
		}
	}
}
`
	translatedConfig = commonConfig + `http://{listen} {
	bind 127.0.0.1
	ai_gateway {
		upstream mock http://{mock}/v1 {
			formats anthropic_messages
		}
		model ` + clientModel + ` {
			source mock ` + upstreamModel + `
		}
	}
}
`
	// Nothing listens on port 1 of the loopback.
	failoverConfig = commonConfig + `http://{listen} {
	bind 127.0.0.1
	ai_gateway {
		upstream dead http://127.0.0.1:1/v1 {
			circuit off
			formats openai_chat
		}
		upstream mock http://{mock}/v1 {
			formats openai_chat
		}
		model ` + clientModel + ` {
			source dead ` + upstreamModel + ` priority 1
			source mock ` + upstreamModel + ` priority 2
		}
	}
}
`
)
