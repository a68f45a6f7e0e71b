package latitude

import (
	"regexp"

	"github.com/billetcloud/billet/internal/provider/upstream"
)

// coresOf are the cores of one processor of each model, by the number in its name. The cloud's own
// number is that of one processor for some plans, and of all for others.
var coresOf = map[string]int{
	"7313": 16, "7343": 16, "7413": 24, "7443": 24, "7443P": 24, "7513": 32, "7543": 32, "7543P": 32, "7663": 56,
	"7713": 64, "7713P": 64, "7763": 64,
	"7402": 24, "7402P": 24, "7452": 32, "7502": 32, "7502P": 32, "7542": 32, "7642": 48, "7702": 64, "7702P": 64,
	"7742": 64,
	"9124": 16, "9174F": 16, "9224": 24, "9254": 24, "9274F": 24, "9334": 32, "9354": 32, "9354P": 32, "9374F": 32,
	"9454": 48, "9454P": 48,
	"9474F": 48, "9534": 64, "9554": 64, "9554P": 64, "9634": 84, "9654": 96, "9654P": 96, "9684X": 96,
	"9135": 16, "9175F": 16, "9255": 24, "9275F": 24, "9335": 32, "9355": 32, "9355P": 32, "9365": 36, "9375F": 32,
	"9455": 48, "9455P": 48,
	"9475F": 48, "9535": 64, "9555": 64, "9555P": 64, "9575F": 64, "9645": 96, "9655": 96, "9655P": 96, "9745": 128,
	"9755": 128, "9825": 144,
	"9845": 160, "9965": 192,
	"6338": 32, "6342": 24, "6348": 28, "8358": 32, "8380": 40, "6430": 32, "6442Y": 24, "6448Y": 32, "6458Q": 32,
	"8462Y": 32, "8468": 48,
	"8480": 56, "8558": 48, "8568Y": 48, "8570": 56, "8580": 60, "8592": 64, "6530": 32, "6548Y": 32,
}

var cpuModel = regexp.MustCompile(`\b[0-9]{4}[A-Z]?\b`)

// vcpus returns the cores of a plan's processors. For an unknown model it returns what the cloud
// states, once: there are at least that many.
func vcpus(model string, stated, sockets int) int {
	sockets = max(1, min(sockets, upstream.MaxCount))
	if each := coresOf[cpuModel.FindString(model)]; each > 0 {
		return each * sockets
	}
	return min(stated, upstream.MaxGB)
}
