package routing

// refusal is a credential that has failed the request at a source. It is immutable.
type refusal struct {
	candidate  *Candidate
	credential string
	before     *refusal // nil if it was the first; there are few
}

// AnotherKey makes the plan go on with c and another credential of its upstream,
// before any source that was not asked. It is called when an attempt at c has failed
// because of the named credential alone: it was refused, has no quota left, or is
// throttled. Nothing in the plan is asked with that credential again.
//
// Admit grants the attempt if a circuit of another credential admits it, and the next
// source otherwise. A source gets another credential once. Nothing changes for an
// upstream with one usable credential, nor if the client's own was sent, of which the
// id is "".
func (p *Plan) AnotherKey(c *Candidate, failed string) {
	if failed == "" || len(c.keys) < 2 {
		return
	}
	p.again = c
	for r := p.req.refusal; r != nil; r = r.before {
		if r.candidate == c {
			p.again = nil
		}
	}
	p.req.refusal = &refusal{c, failed, p.req.refusal}
}

// refused says that a credential of the candidate's upstream has failed this request,
// whichever source it was sent to.
func (r *Request) refused(c *Candidate, credential string) bool {
	for f := r.refusal; f != nil; f = f.before {
		if f.candidate.Upstream == c.Upstream && f.credential == credential {
			return true
		}
	}
	return false
}
