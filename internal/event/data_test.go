package event

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"pgregory.net/rapid"
)

func TestDataIsWrittenAsByEncodingJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"", "8 × NVIDIA B200", "a\u2028b", "<&>", `"\`, "\x7f", "\xff", "a\tb",
		}))
		value := rapid.Custom(func(t *rapid.T) any {
			switch rapid.IntRange(0, 7).Draw(t, "kind") {
			case 0:
				return text.Draw(t, "text")
			case 1:
				return id.ID(text.Draw(t, "id"))
			case 2:
				return rapid.Int64().Draw(t, "number")
			case 3:
				return money.Micros(rapid.Int64().Draw(t, "amount"))
			case 4:
				return time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "time")).UTC()
			case 5:
				return []string{text.Draw(t, "one")}
			case 6:
				return rapid.Bool().Draw(t, "bool")
			}
			return nil
		})
		v := rapid.MapOfN(text, value, 0, 20).Draw(t, "data")
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := (data{&v}).Value(); err != nil || got != string(want) {
			t.Errorf("%v %v, want %s", got, err, want)
		}
	})
}
