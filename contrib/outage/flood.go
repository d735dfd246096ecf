package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A reading is how the client of the flood reads.
type reading int

const (
	notAtAll reading = iota // there is no flood
	// evenly is at floodPace: far more than any model writes, and little enough that
	// the client and the provider leave processors to the gateway.
	evenly
	greedily // as fast as it comes
	readings // how many there are

	floodPace = 50_000_000 // bytes a second
)

// flood measures what one stream that is sent as fast as it is taken does to slow ones:
// through the gateway, and through a Caddy that only proxies.
func (b *bench) flood() ([]promise, error) {
	var all []promise
	for _, plain := range []bool{false, true} {
		some, err := b.floodThrough(plain)
		if err != nil {
			return nil, fmt.Errorf("flood: %w", err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// floodThrough measures by turns without a flood and beside one, while slow streams
// flow through one process all the time.
func (b *bench) floodThrough(plain bool) ([]promise, error) {
	d := &dripping{began: time.Now(), over: make(chan struct{})}
	good, err := startProvider(d.answer)
	if err != nil {
		return nil, err
	}
	defer good.stop()
	site := "reverse_proxy " + good.url
	if !plain {
		site = "ai_gateway {\n" + sources(good.url, good.url, "") + "\n}"
	}
	g, err := b.caddy(fmt.Sprintf("flood-%t", plain), "http", site)
	if err != nil {
		return nil, err
	}
	if err := g.start(); err != nil {
		return nil, err
	}
	defer g.kill()
	g.client.Timeout = 0 // streams last as long as the measurement

	ended := d.follow(g)
	n, length := 15, 400*time.Millisecond
	if b.scale > 1 {
		n, length = 5, 200*time.Millisecond
	}
	spans := make([][readings]span, n+1)
	for i := range spans {
		for how := range readings {
			if spans[i][how], err = d.span(g, how, length); err != nil {
				return nil, err
			}
		}
	}
	close(d.over)
	streams, err := ended()
	if err != nil {
		return nil, err
	}
	// In the first round the streams were still being opened.
	rounds := make([]round, n)
	for i := range rounds {
		for how := range readings {
			rounds[i][how] = spans[i+1][how].figures(streams)
		}
	}
	return append(floodPromises(rounds, evenly, plain), floodPromises(rounds, greedily, plain)...), nil
}

// A drip is an event of a slow stream.
type drip struct {
	sent, got time.Duration
}

// follow opens the slow streams. They end with the provider or the gateway at the
// latest; ended waits for it, and fails if one of them is not whole.
func (d *dripping) follow(g *gateway) (ended func() ([][]drip, error)) {
	streams, errs := make([][]drip, drips), make([]error, drips)
	var all sync.WaitGroup
	for i := range drips {
		all.Go(func() { streams[i], errs[i] = d.read(g) })
	}
	return func() ([][]drip, error) {
		all.Wait()
		got := 0
		for i, stream := range streams {
			if errs[i] != nil {
				return nil, errs[i]
			}
			got += len(stream)
		}
		if sent := int(d.sent.Load()); got != sent {
			return nil, fmt.Errorf("%d of %d events of slow streams have come", got, sent)
		}
		return streams, nil
	}
}

// read opens a slow stream and reads it to its end mark.
func (d *dripping) read(g *gateway) ([]drip, error) {
	resp, err := g.open(true)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("a slow stream: %s", resp.Status)
	}
	var all []drip
	for lines := bufio.NewReader(resp.Body); ; {
		line, err := lines.ReadSlice('\n')
		got := time.Since(d.began)
		if err != nil {
			return nil, fmt.Errorf("reading a slow stream: %w", err)
		}
		if bytes.HasPrefix(line, []byte("data: [DONE]")) {
			return all, nil
		}
		_, rest, ok := bytes.Cut(line, []byte(`"content":"`))
		if !ok {
			continue
		}
		number, _, _ := bytes.Cut(rest, []byte(`"`))
		sent, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("an event of a slow stream: %w", err)
		}
		all = append(all, drip{time.Duration(sent), got})
	}
}

// A span is a time that is measured.
type span struct {
	from, to time.Duration
	taken    int64 // bytes of the flood
}

// span lets a flood flow, or none, for a time.
func (d *dripping) span(g *gateway, how reading, length time.Duration) (s span, err error) {
	ended := make(chan error, 1)
	pass := func(t time.Duration) error {
		select {
		case <-time.After(t):
			return nil
		case err := <-ended:
			return fmt.Errorf("the flood has ended: %w", err)
		case <-g.b.ctx.Done():
			return g.b.ctx.Err()
		}
	}
	// What a flood has left behind may pass first.
	if err := pass(50 * time.Millisecond); err != nil {
		return s, err
	}
	s.from = time.Since(d.began)
	var taken atomic.Int64
	if how != notAtAll {
		resp, err := g.post(g.client, flooding, true)
		if err != nil {
			return s, err
		}
		go func() {
			ended <- take(resp.Body, how, &taken)
			close(ended)
		}()
		defer func() {
			resp.Body.Close()
			for range ended { // until nobody reads
			}
		}()
	}
	err = pass(length)
	s.to, s.taken = time.Since(d.began), taken.Load()
	return s, err
}

// take reads a flood until it ends or its body is closed, and counts its bytes.
func take(body io.Reader, how reading, taken *atomic.Int64) error {
	began := time.Now()
	for buffer := make([]byte, 64<<10); ; {
		n, err := body.Read(buffer)
		total := taken.Add(int64(n))
		if err != nil {
			return err
		}
		if how == evenly {
			time.Sleep(time.Until(began.Add(time.Duration(total) * time.Second / floodPace)))
		}
	}
}

// figures are what was measured in a span: times in milliseconds, the pace of the flood
// in megabytes a second.
type figures [5]float64

const (
	gap99 = iota
	gap50
	delay99
	delay50
	pace
)

// figures measures the events that were sent in a span, however late they came. A gap
// is that between two events as they came, less what the provider was late with them.
func (s span) figures(streams [][]drip) figures {
	var gaps, delays []time.Duration
	for _, stream := range streams {
		for i := 1; i < len(stream); i++ {
			before, e := stream[i-1], stream[i]
			if e.sent >= s.from && e.sent < s.to {
				delays = append(delays, e.got-e.sent)
				gaps = append(gaps, (e.got-before.got)-(e.sent-before.sent)+dripStep)
			}
		}
	}
	ms := func(all []time.Duration, p int) float64 { return percentile(all, p).Seconds() * 1e3 }
	return figures{
		gap99: ms(gaps, 99), gap50: ms(gaps, 50), delay99: ms(delays, 99), delay50: ms(delays, 50),
		pace: float64(s.taken) / 1e6 / (s.to - s.from).Seconds(),
	}
}

// A round has figures without a flood and beside each.
type round [readings]figures

// floodPromises tells what one kind of flood did.
func floodPromises(rounds []round, how reading, plain bool) []promise {
	// middle is the median over the rounds.
	middle := func(of func(r round) float64) float64 {
		var all []float64
		for _, r := range rounds {
			all = append(all, of(r))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	compare := func(p99, p50 int) (times float64, text string) {
		times = middle(func(r round) float64 { return r[how][p99] / r[notAtAll][p99] })
		text = fmt.Sprintf("%.2f times", times)
		for _, p := range []int{p99, p50} {
			text += fmt.Sprintf(", %.2f ms for %.2f ms",
				middle(func(r round) float64 { return r[how][p] }), middle(func(r round) float64 { return r[notAtAll][p] }))
		}
		return times, text
	}
	times, gaps := compare(gap99, gap50)
	_, delays := compare(delay99, delay50)
	flow := middle(func(r round) float64 { return r[how][pace] })

	what := fmt.Sprintf("a flood of %.0f MB/s", flow)
	if how == greedily {
		what += ", as fast as it comes"
	}
	if plain {
		what += ", only reverse_proxy"
	}
	gap := promise{what + fmt.Sprintf(": gaps in %d slow streams, p99 and p50", drips), "-", gaps, true}
	if how == evenly && !plain {
		// Where nothing has flowed, nothing is shown.
		gap.promised, gap.kept = "< 2 times", times > 0 && times < 2 && flow > floodPace/2e6
	}
	return []promise{gap, {"the same: delays of their events", "-", delays, true}}
}
