package chat

// Round matches the calls of an answer with their results, which may stand anywhere
// until the next answer. The zero value has no calls. Its memory is used again.
type Round struct {
	calls   []*Block
	results []*Block       // of each call; nil if there is none
	index   map[string]int // of the calls by id, if there are many
}

// fewCalls is up to how many calls are searched one by one.
const fewCalls = 8

// Begin forgets the last round and takes the calls of the next answer, which may
// stand in several turns.
func (r *Round) Begin(answer []Turn) {
	r.calls, r.results = r.calls[:0], r.results[:0]
	clear(r.index)
	for t := range answer {
		blocks := answer[t].Blocks
		for i := range blocks {
			if blocks[i].Kind == ToolUse {
				r.calls = append(r.calls, &blocks[i])
				r.results = append(r.results, nil)
			}
		}
	}
	if len(r.calls) <= fewCalls {
		return
	}
	if r.index == nil {
		r.index = make(map[string]int, len(r.calls))
	}
	for i, call := range r.calls {
		if _, known := r.index[string(call.ID.Unescaped())]; !known {
			r.index[string(call.ID.Unescaped())] = i
		}
	}
}

// forget clears the memory that Begin keeps, so that a round that waits for its next
// use does not hold on to blocks.
func (r *Round) forget() {
	clear(r.calls[:cap(r.calls)])
	clear(r.results[:cap(r.results)])
	r.calls, r.results = r.calls[:0], r.results[:0]
	clear(r.index)
}

// Calls are the calls of the answer, in their order.
func (r *Round) Calls() []*Block { return r.calls }

// Results are the results of the calls, in the order of the calls; nil for a call
// that has none.
func (r *Round) Results() []*Block { return r.results }

// Match finds the results of the calls in the turns up to the next answer. Of
// several for one call the last one counts; repeated says that there were some.
// Results without an id belong to the calls without one, in their order.
func (r *Round) Match(turns []Turn) (repeated bool) {
	if len(r.calls) == 0 {
		return false
	}
	nameless := 0
	for t := range turns {
		blocks := turns[t].Blocks
		for i := range blocks {
			b := &blocks[i]
			if b.Kind != ToolResult {
				continue
			}
			call := r.find(b.ID)
			if b.ID.Empty() {
				call = r.nextNameless(nameless)
				nameless = max(nameless, call+1)
			}
			if call < 0 {
				continue
			}
			repeated = repeated || r.results[call] != nil
			r.results[call] = b
		}
	}
	return repeated
}

// nextNameless returns the first call from number i on that has no id; -1 if there
// is none.
func (r *Round) nextNameless(i int) int {
	for ; i < len(r.calls); i++ {
		if r.calls[i].ID.Empty() {
			return i
		}
	}
	return -1
}

// Answers says that a result, one of the turns that were matched, belongs to a call
// of this round.
func (r *Round) Answers(result *Block) bool {
	if !result.ID.Empty() {
		return r.find(result.ID) >= 0
	}
	for _, known := range r.results {
		if known == result {
			return true
		}
	}
	return false
}

// find returns the number of the call with an id; -1 if none has it.
func (r *Round) find(id Literal) int {
	if id.Empty() {
		return -1
	}
	if len(r.calls) > fewCalls {
		if i, ok := r.index[string(id.Unescaped())]; ok {
			return i
		}
		return -1
	}
	for i, call := range r.calls {
		if call.ID.Equal(id) {
			return i
		}
	}
	return -1
}
