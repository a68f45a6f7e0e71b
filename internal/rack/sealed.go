package rack

import (
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/secret"
)

// Sealed are the columns with sealed texts.
var Sealed = []secret.Column{
	{Table: "rack_machine", Column: "bmc_password", Key: "id", Purpose: of(purpose)},
	{Table: "rack_machine", Column: "next_password", Key: "id", Purpose: of(purpose)},
	{Table: "rack_machine", Column: "ssh_access", Key: "id", Purpose: of(loginPurpose)},
	{Table: "rack_machine", Column: "console_password", Key: "id", Purpose: of(consolePurpose)},
	{Table: "rack_machine", Column: "launch", Key: "id", Owner: "last_deployment", Purpose: of(launchPurpose)},
	{Table: "rack_identity", Column: "private_key", Purpose: secret.For(certificatePurpose)},
}

func of(purpose func(id.ID) string) func(string) string {
	return func(owner string) string { return purpose(id.ID(owner)) }
}
