package budget

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

func TestBudgetScope_has(t *testing.T) {
	t.Parallel()
	key := creator.Creator{Type: creator.APIKey, ID: "key_1"}
	member := creator.Creator{Type: creator.Member, ID: "key_1"}
	ofKey := func(key id.ID) BudgetScope { return BudgetScope{APIKeyID: &key} }
	for name, c := range map[string]struct {
		scope BudgetScope
		of    wallet.Subject
		want  bool
	}{
		"everything":       {BudgetScope{}, wallet.Subject{}, true},
		"the project":      {BudgetScope{Project: new("a")}, wallet.Subject{Project: "a"}, true},
		"another project":  {BudgetScope{Project: new("a")}, wallet.Subject{Project: "b"}, false},
		"one of two tags":  {BudgetScope{Tag: new("b")}, wallet.Subject{Tags: []string{"a", "b"}}, true},
		"another tag":      {BudgetScope{Tag: new("c")}, wallet.Subject{Tags: []string{"a", "b"}}, false},
		"the key":          {ofKey("key_1"), wallet.Subject{CreatedBy: key}, true},
		"another key":      {ofKey("key_2"), wallet.Subject{CreatedBy: key}, false},
		"a member, no key": {ofKey("key_1"), wallet.Subject{CreatedBy: member}, false},
	} {
		if got := c.scope.has(c.of); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

func TestSettings_check(t *testing.T) {
	t.Parallel()
	project, tag, key := new("a"), new("b"), new(id.ID("key_01jd0000000000000000000000"))
	if !key.Valid(id.APIKey) {
		t.Fatal("the test's key has no valid id")
	}
	for name, c := range map[string]struct {
		change func(*Settings)
		want   []string
	}{
		"valid":           {func(*Settings) {}, nil},
		"project":         {func(s *Settings) { s.Scope.Project = project }, nil},
		"tag":             {func(s *Settings) { s.Scope.Tag = tag }, nil},
		"key":             {func(s *Settings) { s.Scope.APIKeyID = key }, nil},
		"project and tag": {func(s *Settings) { s.Scope.Project, s.Scope.Tag = project, tag }, []string{"scope"}},
		"tag and key":     {func(s *Settings) { s.Scope.Tag, s.Scope.APIKeyID = tag, key }, []string{"scope"}},
		"project and key": {func(s *Settings) { s.Scope.Project, s.Scope.APIKeyID = project, key }, []string{"scope"}},
		"scopes": {
			func(s *Settings) { s.Scope = BudgetScope{new(""), new(""), new(id.ID("dep_1"))} },
			[]string{"scope.project", "scope.tag", "scope.apiKeyId", "scope"},
		},
		"the rest": {
			func(s *Settings) { *s = Settings{Name: "", Period: "week", Mode: "stop", Amount: 0} },
			[]string{"name", "period", "mode", "amount"},
		},
		"the smallest amount": {func(s *Settings) { s.Amount = 1 }, nil},
		"the largest amount":  {func(s *Settings) { s.Amount = 1_000_000_000 * money.USD }, nil},
		"more":                {func(s *Settings) { s.Amount = 1_000_000_000*money.USD + 1 }, []string{"amount"}},
		"percentages":         {func(s *Settings) { s.Thresholds = []int{1, 100} }, nil},
		"no percentages": {
			func(s *Settings) { s.Thresholds = []int{0, 101, 50, 50} },
			[]string{"thresholds[0]", "thresholds[1]", "thresholds[3]"},
		},
		"ten": {func(s *Settings) { s.Thresholds = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10} }, nil},
		"eleven": {
			func(s *Settings) { s.Thresholds = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11} }, []string{"thresholds"},
		},
	} {
		s := Settings{Name: "b", Period: Day, Mode: Alert, Amount: money.USD}
		c.change(&s)
		var got []string
		if e, is := errors.AsType[*apierr.Error](s.check()); is {
			for _, f := range e.Fields() {
				got = append(got, f.Field)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: the wrong fields are %v, want %v", name, got, c.want)
		}
	}
}

func TestPeriod_interval(t *testing.T) {
	t.Parallel()
	at := time.Date(2031, 1, 31, 23, 59, 59, 999_999_000, time.FixedZone("west", -3600)) // in UTC it is February
	february := time.Date(2031, 2, 1, 0, 0, 0, 0, time.UTC)
	for p, want := range map[Period][2]time.Time{
		Day:   {february, february.AddDate(0, 0, 1)},
		Month: {february, february.AddDate(0, 1, 0)},
	} {
		if from, to := p.interval(at); from != want[0] || *to != want[1] {
			t.Errorf("%s: from %s to %s, want %s", p, from, to, want)
		}
	}
	if from, to := Total.interval(at); from.Unix() != 0 || to != nil {
		t.Errorf("total: from %s to %s", from, to)
	}
}

// A budget refuses hours of deployments that cost something: a volume is not ended by it.
func TestTally_refuses(t *testing.T) {
	t.Parallel()
	rows := []row{{Budget: Budget{ID: "bud_1", Account: "acc_1", Settings: Settings{Amount: 10, Mode: Terminate}}}}
	used := tally{spent: map[id.ID]money.Micros{"bud_1": 6}, committed: map[id.ID]money.Micros{"bud_1": 2}}
	for name, c := range map[string]struct {
		subject id.ID
		account id.ID
		amount  money.Micros
		want    bool
	}{
		"what is left":    {"dep_1", "acc_1", 2, false},
		"more":            {"dep_1", "acc_1", 3, true},
		"another account": {"dep_1", "acc_2", 3, false},
		"a volume":        {"vol_1", "acc_1", 3, false},
	} {
		charge := wallet.Charge{Account: c.account, Subject: c.subject, Amount: c.amount}
		if got := used.refuses(rows, wallet.Subject{}, charge); (got != nil) != c.want {
			t.Errorf("%s: refused by %v, want refused = %t", name, got, c.want)
		}
	}
	used.spent["bud_1"] = 11
	charge := wallet.Charge{Account: "acc_1", Subject: "dep_1"}
	if got := used.refuses(rows, wallet.Subject{}, charge); got != nil {
		t.Error("an hour that costs nothing is refused")
	}
	rows[0].Mode, charge.Amount = Block, 1
	if got := used.refuses(rows, wallet.Subject{}, charge); got != nil {
		t.Error("a budget that only blocks refuses an hour")
	}
}
