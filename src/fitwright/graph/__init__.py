"""The model as a graph: open safely, bind shapes, count every operator, edit."""
