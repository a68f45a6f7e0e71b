package credit

import (
	"cmp"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// maxSpans is the most spans that a position keeps.
const maxSpans = 200

// share is what an account has of a credit that expires.
type share struct {
	Credit    id.ID        `json:"credit"`
	ExpiresAt time.Time    `json:"expiresAt"`
	Left      money.Micros `json:"left"`
	// Closed is true once it has expired. What is left of it then could not be taken yet.
	Closed bool `json:"closed,omitempty"`
}

// span is a part of all that an account has spent which a credit has paid: from one total of what
// was spent to another.
type span struct {
	Credit id.ID        `json:"credit"`
	From   money.Micros `json:"from"`
	To     money.Micros `json:"to"`
}

// position says who has paid what an account has spent, up to a total.
type position struct {
	// spent is the total: charges less refunds, and what is on hold.
	spent money.Micros
	// shares are in the order in which they are spent.
	shares []share
	// spans rise and do not overlap. What is between them was paid with other money.
	spans []span
}

func byExpiry(a, b share) int {
	return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), cmp.Compare(a.Credit, b.Credit))
}

func (p position) clone() position {
	p.shares, p.spans = slices.Clone(p.shares), slices.Clone(p.spans)
	return p
}

// at returns the position at another total. What is spent is paid by the shares in their order;
// what is returned goes to what was spent last.
func (p position) at(spent money.Micros) position {
	p = p.clone()
	p.giveBack(spent)
	for i := range p.shares {
		s := &p.shares[i]
		if paid := min(s.Left, spent-p.spent); paid > 0 {
			s.Left -= paid
			p.spans = appendSpan(p.spans, span{s.Credit, p.spent, p.spent + paid})
			p.spent += paid
		}
	}
	p.spent = spent
	return p.trimmed()
}

// giveBack returns what was spent beyond the total to those who paid it.
func (p *position) giveBack(spent money.Micros) {
	for i := len(p.spans) - 1; i >= 0 && p.spans[i].To > spent; i-- {
		last := &p.spans[i]
		from := max(last.From, spent)
		p.shares[p.find(last.Credit)].Left += last.To - from
		if last.To = from; last.From == from {
			p.spans = p.spans[:i]
		}
	}
	p.spent = min(p.spent, spent)
}

// find returns the index of a share, or -1. Every span has one.
func (p position) find(credit id.ID) int {
	return slices.IndexFunc(p.shares, func(s share) bool { return s.Credit == credit })
}

func appendSpan(spans []span, next span) []span {
	if n := len(spans); n > 0 && spans[n-1].Credit == next.Credit && spans[n-1].To == next.From {
		spans[n-1].To = next.To
		return spans
	}
	return append(spans, next)
}

// trimmed forgets the oldest spans, and expired shares that nothing can be returned to.
func (p position) trimmed() position {
	if n := len(p.spans) - maxSpans; n > 0 {
		p.spans = p.spans[n:]
	}
	p.shares = slices.DeleteFunc(p.shares, func(s share) bool {
		paid := slices.ContainsFunc(p.spans, func(of span) bool { return of.Credit == s.Credit })
		return s.Closed && s.Left == 0 && !paid
	})
	return p
}

// with adds a share. It first pays the debt: the last that was spent and that no credit has paid.
func (p position) with(s share, debt money.Micros) position {
	p = p.clone()
	debt = min(debt, s.Left)
	end := p.spent
	for i := len(p.spans); i >= 0 && debt > 0; i-- {
		begin := money.Micros(0)
		if i > 0 {
			begin = p.spans[i-1].To
		}
		if paid := min(debt, end-begin); paid > 0 {
			p.spans = slices.Insert(p.spans, i, span{s.Credit, end - paid, end})
			s.Left -= paid
			debt -= paid
		}
		if i > 0 {
			end = p.spans[i-1].From
		}
	}
	p.shares = append(p.shares, s)
	slices.SortFunc(p.shares, byExpiry)
	return p.trimmed()
}

// left returns what is left of each credit, given what is available. Where less is available than
// is left of all, the difference counts as spent.
func (p position) left(available money.Micros) map[id.ID]money.Micros {
	missing := -max(available, 0)
	for _, s := range p.shares {
		missing += s.Left
	}
	out := make(map[id.ID]money.Micros, len(p.shares))
	for _, s := range p.shares {
		gone := min(s.Left, max(missing, 0))
		missing -= gone
		out[s.Credit] = s.Left - gone
	}
	return out
}

// without closes a share and takes an amount of it. What is left then is missing, or returns later.
func (p position) without(credit id.ID, taken money.Micros) position {
	p = p.clone()
	if i := p.find(credit); i >= 0 {
		p.shares[i].Left -= taken
		p.shares[i].Closed = true
	}
	return p.trimmed()
}

// get returns a share, or a zero one if there is none.
func (p position) get(credit id.ID) share {
	if i := p.find(credit); i >= 0 {
		return p.shares[i]
	}
	return share{}
}

// open returns the shares that have not expired.
func (p position) open() []share {
	return slices.DeleteFunc(slices.Clone(p.shares), func(s share) bool { return s.Closed })
}

// unspent is how many shares have not expired, or have something left.
func (p position) unspent() (n int) {
	for _, s := range p.shares {
		if !s.Closed || s.Left > 0 {
			n++
		}
	}
	return n
}
