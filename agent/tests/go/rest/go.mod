module example.com/rest

go 1.19
