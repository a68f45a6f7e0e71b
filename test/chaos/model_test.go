package chaos_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// question is one attempt to do something with a deployment. The deployments are independent of
// each other: a history is checked for each Idempotency-Key.
type question struct {
	key string
	op  string // create, get, end, tag
	tag string // to be set
}

// reply is what the attempt was answered.
type reply struct {
	unknown bool // no answer or 5xx: it may have its effect now, later or never
	refused bool // 4xx
	id      string
	status  string
	tag     string
}

// version is the state of a deployment.
type version struct {
	made  bool
	id    string // "" while no answer has told it
	rank  int    // of the latest known status
	ended bool   // an end was accepted
	tag   string
}

// ranks order the states of a deployment's life; it never goes back.
var ranks = map[string]int{
	"pending": 1, "deploying": 2, "running": 3, "stopped": 3, "terminating": 4, "terminated": 5, "failed": 5,
	"interrupted": 5,
}

// lives is the model of one deployment: what each attempt may find and leave behind.
var lives = porcupine.NondeterministicModel{
	Partition: byKey,
	Init:      func() []any { return []any{version{}} },
	Step: func(state, input, output any) []any {
		return input.(question).step(state.(version), output.(reply))
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(q, r any) string { return fmt.Sprintf("%+v: %+v", q, r) },
}

func (q question) step(s version, r reply) []any {
	if q.op == "get" {
		return s.read(r)
	}
	if r.refused {
		if q.op == "create" && s.made { // the key's answer is the first one forever
			return nil
		}
		return []any{s}
	}
	next, possible := s.write(q, r)
	switch {
	case possible && r.unknown:
		return []any{s, next}
	case possible:
		return []any{next}
	case r.unknown:
		return []any{s}
	}
	return nil
}

// write returns the state after the attempt's effect.
func (s version) write(q question, r reply) (next version, possible bool) {
	if q.op == "create" {
		if !s.made {
			return version{made: true, id: r.id, rank: 1}, true
		}
		if s.id == "" {
			s.id = r.id
		}
		return s, r.unknown || s.id == r.id
	}
	if q.op == "end" {
		s.ended, s.rank = true, max(s.rank, ranks["terminating"])
	} else {
		s.tag = q.tag
	}
	return s, s.made
}

// read returns the state after an answer that showed the deployment.
func (s version) read(r reply) []any {
	rank := ranks[r.status]
	if !s.made || s.id != "" && s.id != r.id || rank < s.rank || s.ended && rank < 4 || r.tag != s.tag {
		return nil
	}
	s.id, s.rank = r.id, rank
	return []any{s}
}

func byKey(all []porcupine.Operation) (parts [][]porcupine.Operation) {
	place := map[string]int{}
	for _, o := range all {
		key := o.Input.(question).key
		i, known := place[key]
		if !known {
			i, place[key] = len(parts), len(parts)
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], o)
	}
	return parts
}

// record collects the attempts.
type record struct {
	began time.Time
	mu    sync.Mutex
	all   []porcupine.Operation
}

func (r *record) now() int64 { return int64(time.Since(r.began)) }

// add adds an attempt that was made at the instant and answered now. One without an answer returns
// at the end of time. A read without an answer says nothing.
func (r *record) add(q question, called int64, got reply) {
	returned := r.now()
	if got.unknown {
		if q.op == "get" {
			return
		}
		returned = math.MaxInt64
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, porcupine.Operation{Input: q, Call: called, Output: got, Return: returned})
}

// judge returns the deployments whose answers no single copy could have given.
func (r *record) judge() (wrong []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	model := lives.ToModel()
	for _, part := range byKey(r.all) {
		if !porcupine.CheckOperations(model, part) {
			text := part[0].Input.(question).key + ":"
			for _, o := range part {
				text += fmt.Sprintf("\n  %12d %20d %s", o.Call, o.Return, model.DescribeOperation(o.Input, o.Output))
			}
			wrong = append(wrong, text)
		}
	}
	return wrong
}

// TestModelFindsWrongAnswers plants answers that a single copy would not give into a history that
// is right.
func TestModelFindsWrongAnswers(t *testing.T) {
	t.Parallel()
	const never = math.MaxInt64
	op := func(from, to int64, q question, r reply) porcupine.Operation {
		q.key = "k"
		return porcupine.Operation{Input: q, Call: from, Output: r, Return: to}
	}
	create, get, end := question{op: "create"}, question{op: "get"}, question{op: "end"}
	tag := func(v string) question { return question{op: "tag", tag: v} }
	shown := func(status, tag string) reply { return reply{id: "dep_1", status: status, tag: tag} }
	lost := reply{unknown: true}
	good := []porcupine.Operation{
		op(0, never, create, lost),
		op(10, 20, create, reply{id: "dep_1"}),
		op(21, 30, get, shown("pending", "")),
		op(31, 40, tag("a"), reply{}),
		op(32, never, tag("b"), lost), // has its effect late
		op(41, 50, get, shown("running", "a")),
		op(51, 60, get, shown("running", "b")),
		op(61, 90, end, reply{}),
		op(62, 80, get, shown("running", "b")), // before the end, which was under way
		op(91, 95, get, shown("terminated", "b")),
	}
	for name, c := range map[string]struct {
		planted []porcupine.Operation
		right   bool
	}{
		"nothing":                   {nil, true},
		"a refusal":                 {[]porcupine.Operation{op(96, 97, end, reply{refused: true})}, true},
		"another deployment":        {[]porcupine.Operation{op(96, 97, create, reply{id: "dep_2"})}, false},
		"a refusal of what is made": {[]porcupine.Operation{op(96, 97, create, reply{refused: true})}, false},
		"an older status":           {[]porcupine.Operation{op(56, 57, get, shown("pending", "b"))}, false},
		"alive after its end":       {[]porcupine.Operation{op(91, 92, get, shown("running", "b"))}, false},
		"a forgotten tag":           {[]porcupine.Operation{op(91, 92, get, shown("terminating", ""))}, false},
		"an older tag":              {[]porcupine.Operation{op(91, 92, get, shown("terminating", "a"))}, false},
		"seen before it was made":   {[]porcupine.Operation{op(-9, -8, get, shown("pending", ""))}, false},
	} {
		r := record{all: append(append([]porcupine.Operation{}, good...), c.planted...)}
		if wrong := r.judge(); (len(wrong) == 0) != c.right {
			t.Errorf("%s: right is %t, and the checker says %v", name, c.right, wrong)
		}
	}
}
