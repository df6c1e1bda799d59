package web

// What the API makes of the types that it is given.
type (
	Community   = community
	Device      = device
	Application = application
	Wish        = wish
)
