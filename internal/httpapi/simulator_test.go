package httpapi

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
)

// simulated gives the world a simulator that knows one fault.
func (w *world) simulated() (advanced *time.Duration) {
	advanced = new(time.Duration)
	faults := []SimulatorFault{{ID: "f1", Kind: "slow", Since: w.clock.Now()}}
	simulator := &Simulator{
		State: func() SimulatorState {
			return SimulatorState{
				Now:      w.clock.Now(),
				Machines: []SimulatorMachine{{ID: "m1", Provider: "basalt", Reference: "dep_1", State: "ready"}},
			}
		},
		Advance: func(ctx context.Context, by time.Duration) error {
			if db.InsideTx(ctx) {
				return errors.New("time moves inside a transaction")
			}
			*advanced += by
			return nil
		},
		Faults: func() []SimulatorFault { return faults },
		AddFault: func(_ context.Context, f SimulatorFault) (SimulatorFault, []apierr.FieldError, error) {
			if f.Kind == "nonsense" {
				return f, []apierr.FieldError{
					{Field: "seconds", Message: "are none."},
					{Field: "kind", Message: "nonsense is no kind of fault."},
				}, nil
			}
			f.ID, f.Since = "f2", w.clock.Now()
			faults = append(faults, f)
			return f, nil, nil
		},
		ClearFault:  func(context.Context, string) error { faults = faults[:1]; return nil },
		ClearFaults: func(context.Context) error { faults = []SimulatorFault{}; return nil },
		Kinds:       []SimulatorFaultKind{{Kind: "slow", Effect: "it takes long", Takes: []string{"seconds"}}},
	}
	w.configure(func(c *Config) { c.Simulator = simulator })
	return advanced
}

func TestTheOperatorMovesTheSimulatorsClockAndFaults(t *testing.T) {
	w := newWorld(t)
	who := w.keyWith(w.bob, account.ReadOperator, account.WriteOperator)
	at := OperatorBase + "/simulator"
	for _, call := range [][2]string{{"GET", at}, {"POST", at + "/advance"}, {"GET", at + "/faults"},
		{"POST", at + "/faults"}, {"DELETE", at + "/faults"}, {"DELETE", at + "/faults/f1"}} {
		body := map[string]any{"POST" + at + "/advance": map[string]any{"seconds": 1},
			"POST" + at + "/faults": map[string]any{"kind": "slow"}}[call[0]+call[1]]
		if r := w.refused("NOT_FOUND", who, call[0], call[1], body); !strings.Contains(string(r.body), "--sim") {
			t.Errorf("without a simulator: %s", r.body)
		}
		w.refused("INSUFFICIENT_SCOPE", w.ada, call[0], call[1], body)
	}
	advanced := w.simulated()
	if r := w.want(200, who, "GET", at, nil); !strings.Contains(string(r.body), `"reference":"dep_1"`) {
		t.Errorf("%s", r.body)
	}
	w.want(200, who, "POST", at+"/advance", map[string]any{"seconds": 1500})
	same(t, "advanced by", *advanced, 25*time.Minute)
	for _, seconds := range []any{0, -1, 366*24*3600 + 1, "1h", nil} {
		w.refused("INVALID_REQUEST", who, "POST", at+"/advance", map[string]any{"seconds": seconds})
	}
	w.passMinute()
	if r := w.refused("INVALID_REQUEST", who, "POST", at+"/faults",
		map[string]any{"kind": "nonsense"}); !strings.Contains(
		string(r.body),
		"no kind",
	) ||
		len(r.fields()) != 2 {
		t.Errorf("%s", r.body)
	}
	made := w.want(
		201,
		who,
		"POST",
		at+"/faults",
		map[string]any{"kind": "lost-answer", "operation": "launch", "count": 1},
	)
	same(t, "Location", made.header.Get("Location"), at+"/faults/f2")
	w.refused("NOT_FOUND", who, "DELETE", at+"/faults/f9", nil)
	w.want(200, who, "DELETE", at+"/faults/f2", nil)
	if r := w.want(200, who, "DELETE", at+"/faults", nil); !strings.Contains(string(r.body), `"faults":[]`) ||
		!strings.Contains(string(r.body), "it takes long") {
		t.Errorf("%s", r.body)
	}
	var done []string
	rows, err := w.d.Query(t.Context(), `SELECT action FROM audit WHERE account_id = $1 ORDER BY id`, w.bob.account)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var action string
		if err := rows.Scan(&action); err != nil {
			t.Fatal(err)
		}
		done = append(done, action)
	}
	same(
		t,
		"the audit",
		strings.Join(done, " "),
		"advanceSimulator addSimulatorFault clearSimulatorFault clearSimulatorFaults",
	)
}
