from sourdine import app

app.main()
